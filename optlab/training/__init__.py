"""Training: one step, one scanned epoch, one evaluation, one whole run; all pure.

trained = optlab.train(problem, tx, seed=0, epochs=30, batch_size=64)
trained.params, trained.history, trained.evaluate("test")
"""

from optlab.training.evaluation import Metrics as Metrics
from optlab.training.evaluation import evaluate as evaluate
from optlab.training.evaluation import evaluate_split as evaluate_split
from optlab.training.evaluation import examples_in as examples_in
from optlab.training.evaluation import finish as finish
from optlab.training.evaluation import gather as gather
from optlab.training.evaluation import means_of as means_of
from optlab.training.run import History as History
from optlab.training.run import Trained as Trained
from optlab.training.run import train as train
from optlab.training.step import TrainState as TrainState
from optlab.training.step import epoch_order as epoch_order
from optlab.training.step import init as init
from optlab.training.step import init_run as init_run
from optlab.training.step import initial_state as initial_state
from optlab.training.step import make_step as make_step
from optlab.training.step import scan_epoch as scan_epoch
from optlab.training.step import train_epoch as train_epoch
