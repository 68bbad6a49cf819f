// How likely it is that a customer does not order again within half a year: the logistic regression of `../churn`,
// in JavaScript. The sums are done in the same order, so the scores are the same to the last bit.

// The exponential of FreeBSD's msun (e_exp.c), for arguments within ±20: Math.exp differs between engines in its last
// digit, and a score must not.
function exponential(x) {
  const size = Math.abs(x);
  let high = x;
  let low = 0;
  let twos = 0;
  if (size > 0.34657359027997264) { // half of ln 2
    twos = size >= 1.0397207708399179
      ? Math.trunc(1.44269504088896338700e+00 * x + (x < 0 ? -0.5 : 0.5))
      : Math.sign(x);
    high = x - twos * 6.93147180369123816490e-01;
    low = twos * 1.90821492927058770002e-10;
    x = high - low;
  }
  const square = x * x;
  const c = x - square * (1.66666666666666019037e-01 + square * (-2.77777777770155933842e-03
    + square * (6.61375632143793436117e-05 + square * (-1.65339022054652515390e-06
    + square * 4.13813679705723846039e-08))));
  const y = 1 + (x * c / (2 - c) - low + high);
  return twos < 0 ? y / (1 << -twos) : y * (1 << twos);
}

// From 0, at nothing, towards 1; a half at `half`.
function saturated(amount, half) {
  const counted = amount > 0 ? amount : 0;
  return counted / (counted + half);
}

function churn(recency, orders, average) {
  const z = 1.123 + 3.321 * saturated(recency, 90) - 4.534 * saturated(orders, 4) - 1.183 * saturated(average, 3000);
  return 1 / (1 + exponential(-z));
}

const isMissing = (column, row) => column.nulls.length > row && column.nulls[row] !== 0;

// Whole numbers come as BigInt.
const number = (column, row, missing) => isMissing(column, row) ? missing : Number(column.cells.val[row]);

export const scorer = {
  configure() {},

  score({ rows, columns }) {
    for (const { cells } of columns) {
      // What is thrown is the contract's `failure`.
      if (cells.tag !== 'floats' && cells.tag !== 'ints') throw { code: 'wrong-kind', message: cells.tag };
    }
    const [recency, orders, average] = columns;
    const scores = new Float64Array(rows);
    const nulls = new Uint8Array(rows);
    for (let row = 0; row < rows; row += 1) {
      if (isMissing(recency, row)) {
        // Who never ordered has no score.
        nulls[row] = 1;
      } else {
        // An order that is not counted is one; one without an amount was a gift.
        scores[row] = churn(number(recency, row, 0), number(orders, row, 1), number(average, row, 0));
      }
    }
    return [{ cells: { tag: 'floats', val: scores }, nulls }];
  },
};
