"""Published architectures by name, one file a family, exact to the parameter.

All take images of any size that their halvings allow, and a factor ``width`` on their
channels, so that they train on small images too.
"""

from collections.abc import Callable

from optlab.models.architectures import (
    alexnet,
    inception,
    mobilenet,
    resnet,
    squeezenet,
    vgg,
    xception,
)
from optlab.models.architectures.blocks import Architecture

#: Name to module class, or to one with its table; all take ``classes``.
ARCHITECTURES: dict[str, Callable[..., Architecture]] = {
    **alexnet.NETS,
    **vgg.NETS,
    **inception.NETS,
    **resnet.NETS,
    **squeezenet.NETS,
    **xception.NETS,
    **mobilenet.NETS,
}
