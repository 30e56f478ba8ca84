"""Hessians, Jacobians and Gauss-Newton matrices: dense, and as products."""

from optlab.curvature.products import DenseMemoryError as DenseMemoryError
from optlab.curvature.products import gauss_newton as gauss_newton
from optlab.curvature.products import gauss_newton_product as gauss_newton_product
from optlab.curvature.products import hessian as hessian
from optlab.curvature.products import hessian_product as hessian_product
from optlab.curvature.products import jacobian as jacobian
from optlab.curvature.products import require_memory as require_memory
