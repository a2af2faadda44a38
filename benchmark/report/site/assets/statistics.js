// The tests of `prunebench compare`: Student's t and an exact binomial, both from the incomplete beta function.
"use strict";
const statistics = (() => {
  const LANCZOS = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];

  function logGamma(x) {
    const sum = LANCZOS.reduce((total, c, k) => (k ? total + c / (x - 1 + k) : total + c), 0);
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  }

  // The regularised incomplete beta function, by its continued fraction (Lentz).
  function beta(x, a, b) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
    const away = (value) => (Math.abs(value) < 1e-300 ? 1e-300 : value);
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
    let c = 1, d = 1 / away(1 - ((a + b) * x) / (a + 1)), value = d;
    for (let m = 1; m < 100000; m++) {
      const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
      const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
      const before = value;
      for (const term of [even, odd]) {
        d = 1 / away(1 + term * d);
        c = away(1 + term / c);
        value *= c * d;
      }
      if (Math.abs(value - before) < 1e-15 * Math.abs(value)) break;
    }
    return front * value;
  }

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = (values) => values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / (values.length - 1);
  const p = (t, df) => beta(df / (df + t * t), df / 2, 0.5); // two-sided

  // The t that is passed with a probability of 5 %.
  function reach(df) {
    let low = 0, high = 1e4;
    for (let k = 0; k < 200; k++) {
      const middle = (low + high) / 2;
      if (p(middle, df) > 0.05) low = middle; else high = middle;
    }
    return high;
  }

  function judged(difference, error, df) {
    const half = reach(df) * error;
    const value = error > 0 ? p(difference / error, df) : difference ? 0 : NaN;
    return { difference, low: difference - half, high: difference + half, p: value };
  }

  function paired(a, b) {
    const gaps = a.map((value, i) => value - b[i]);
    return { ...judged(mean(gaps), Math.sqrt(variance(gaps) / gaps.length), gaps.length - 1), spread: variance(gaps) };
  }

  function welch(a, b) {
    const [u, v] = [variance(a) / a.length, variance(b) / b.length];
    const df = (u + v) ** 2 / (u ** 2 / (a.length - 1) + v ** 2 / (b.length - 1));
    return { ...judged(mean(a) - mean(b), Math.sqrt(u + v), df), spread: variance(a) + variance(b) };
  }

  // McNemar's exact test: that both rows are wrong equally often.
  function mcnemar(onlyA, onlyB) {
    const n = onlyA + onlyB, k = Math.min(onlyA, onlyB);
    return 2 * k === n ? 1 : Math.min(1, 2 * beta(0.5, n - k, k + 1));
  }

  // Seeds of each row until a difference of this size is significant with power .8.
  const wanted = (difference, spread) => (difference ? Math.ceil((((1.959963985 + 0.841621234) * Math.sqrt(spread)) / difference) ** 2) : 0);

  return { mean, paired, welch, mcnemar, wanted };
})();
