"""Orders of convergence on test functions, and what a step costs against n.

    python -m experiments.solve --config=configs/convergence.py
    python -m experiments.solve --config=configs/convergence.py \
        --config.optimizers=newton,bfgs

Orders in float64, from each problem's standard start; costs in float32, on Broyden's
tridiagonal function. The tables and the page give both, with the costs of real nets by
the fitted laws.

All of it takes three minutes of CPU time, most of it compiling.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Builds the experiment as plain data; every line can be overridden by a flag."""
    config = ConfigDict()
    config.study = "convergence"
    config.title = "Orders of convergence, and cost against n"

    config.order = ConfigDict()
    config.order.conditions = (10.0, 1000.0)  # a quadratic each
    config.order.parameters = 10  # of each quadratic
    config.order.problems = (
        "rosenbrock", "beale", "himmelblau", "box", "helical_valley", "wood",
        "brown_badly_scaled", "trigonometric", "broyden_tridiagonal",
        "kowalik_osborne",  # from here on residuals remain
        "bard", "brown_dennis",
        "powell_singular",  # none remain, but the Hessian has no inverse
    )  # fmt: skip
    # Not variably_dimensioned: from its start to its minimum leads an eigenvector of
    # its Hessian, and on that line every method has but one dimension.
    config.order.steps = 10_000  # updates at most

    config.cost = ConfigDict()
    small, large = (10, 30, 100, 300, 1000, 2000), (10_000, 100_000, 300_000, 1_000_000)
    config.cost.sizes = small + large
    # A law is fitted to this many sizes, the largest that a method reaches. Memory has
    # no noise, but the compiler's number of copies of a matrix varies with n.
    config.cost.fitted = {"seconds": 3, "memory": 4}
    config.cost.repeats = 7  # timed repetitions of one step; the median counts
    config.cost.seconds = 3.0  # a step expected to take longer is not timed
    # Bytes; a step expected to need more is not tried. An entry of a matrix that
    # outgrows the cache takes several times as long: no power law holds across that.
    config.cost.memory = 1e8

    # Numbers of weights.
    config.nets = {"LeNet-5": 61_706, "ResNet-50": 25_557_032, "VGG16": 138_357_544}

    # Orders expected near a minimum with a regular Hessian, with theorems and sections
    # of Nocedal, Wright, Numerical Optimization (2nd ed.), and exponents of n expected
    # in the time and the memory of a step.
    config.theory, config.optimizers = ConfigDict(), ConfigDict()
    for method, order, seconds, memory, remark in (
        ("steepest_descent", "linear", 1, 1,
         "ratio (k - 1)/(k + 1) or less for exact searches on a quadratic of condition "
         "k, in its own norm (theorem 3.3)"),
        ("bfgs", "superlinear", 2, 2, "theorem 6.6"),
        ("dfp", "superlinear", 2, 2, "as BFGS, by the same condition (theorem 3.6)"),
        ("newton", "quadratic", 3, 2,
         "theorem 3.5; one step on a quadratic"),
        ("newton_cg", "superlinear", 1, 1,
         "theorem 7.2: its tolerance is the root of the gradient norm, or 0.1 as long "
         "as that is less, and then it is linear"),
        ("gauss_newton", "quadratic", 3, 2,
         "section 10.3; linear where residuals remain, f(x*) > 0"),
        ("levenberg_marquardt", "superlinear", 3, 2,
         "section 10.3, as its damping falls to a third with every step that gains "
         "what was predicted; linear where residuals remain"),
    ):  # fmt: skip
        config.theory[method] = ConfigDict(
            {"order": order, "seconds": seconds, "memory": memory, "remark": remark}
        )
        config.optimizers[method] = {}
    singular = (
        "linear with ratio 2/3, as the Hessian is singular at the minimum and the "
        "value grows with the fourth power"
    )
    config.theory.update({"newton": {"on": {"powell_singular": singular}}})
    # More damping makes the end of Gauss-Newton linear.
    config.optimizers.gauss_newton = {"damping": 2e-14}
    return config
