"""How likely it is that a customer does not order again within half a year.

The logistic regression of `../churn`, in Python. The sums are done in the same order, so the scores are the same to the
last bit.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import Cells_Floats, Cells_Ints, Column, Failure


def exponential(x):
    """The exponential of FreeBSD's msun (e_exp.c), for arguments within 20 of 0.

    `math.exp` differs between platforms in its last digit, and a score must not.
    """
    high, low, twos = x, 0.0, 0
    if abs(x) > 0.34657359027997264:  # half of ln 2
        if abs(x) >= 1.0397207708399179:
            twos = int(1.44269504088896338700e00 * x + (-0.5 if x < 0 else 0.5))
        else:
            twos = -1 if x < 0 else 1
        high = x - twos * 6.93147180369123816490e-01
        low = twos * 1.90821492927058770002e-10
        x = high - low
    square = x * x
    c = x - square * (1.66666666666666019037e-01 + square * (-2.77777777770155933842e-03
        + square * (6.61375632143793436117e-05 + square * (-1.65339022054652515390e-06
        + square * 4.13813679705723846039e-08))))
    y = 1.0 + (x * c / (2.0 - c) - low + high)
    return y / (1 << -twos) if twos < 0 else y * (1 << twos)


def saturated(amount, half):
    """From 0, at nothing, towards 1; a half at `half`."""
    counted = amount if amount > 0 else 0.0
    return counted / (counted + half)


def churn(recency, orders, average):
    z = 1.123 + 3.321 * saturated(recency, 90) - 4.534 * saturated(orders, 4) - 1.183 * saturated(average, 3000)
    return 1.0 / (1.0 + exponential(-z))


def numbers(column, missing):
    """The column's numbers, whole ones as floats."""
    if not isinstance(column.cells, (Cells_Floats, Cells_Ints)):
        raise Err(Failure("wrong-kind", type(column.cells).__name__))
    if not column.nulls:
        return [float(cell) for cell in column.cells.value]
    return [missing if null else float(cell) for cell, null in zip(column.cells.value, column.nulls)]


class Scorer(exports.Scorer):
    def configure(self, params):
        pass

    def score(self, input):
        recency, orders, average = input.columns
        # Who never ordered has no score. An order that is not counted is one; one without an amount was a gift.
        rows = zip(numbers(recency, None), numbers(orders, 1.0), numbers(average, 0.0))
        scores = [None if days is None else churn(days, count, amount) for days, count, amount in rows]
        nulls = bytes(score is None for score in scores)
        return [Column(Cells_Floats([0.0 if score is None else score for score in scores]), nulls)]
