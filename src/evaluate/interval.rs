//! Intervals of a share: how far a proportion that was measured on some examples may lie from the true one.

use statrs::distribution::{Beta, ContinuousCDF, Normal};

/// The confidence of every interval in results.
pub const CONFIDENCE: f64 = 0.95;

/// Two-sided score interval of the share `successes / n` (Wilson, "Probable inference, the law of succession, and statistical inference",
/// JASA 22, 1927): `(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)`, with z the normal quantile of `(1 + confidence) / 2`.
///
/// `confidence` lies in (0, 1). Within [0, 1]; without any example it is [0, 1].
///
/// # Panics
/// Where there are more successes than examples, or `confidence` is outside (0, 1).
pub fn wilson(successes: usize, n: usize, confidence: f64) -> [f64; 2] {
    check(successes, n, confidence);
    if n == 0 {
        return [0.0, 1.0];
    }
    let z = Normal::standard().inverse_cdf((1.0 + confidence) / 2.0);
    let total = n as f64;
    let share = successes as f64 / total;
    let z2 = z * z;
    let centre = share + z2 / (2.0 * total);
    let half = z * (share * (1.0 - share) / total + z2 / (4.0 * total * total)).sqrt();
    let scale = 1.0 + z2 / total;
    // The ends are exact where nothing or everything succeeded: rounding would leave 1e-18 there.
    let low = if successes == 0 { 0.0 } else { (centre - half) / scale };
    let high = if successes == n { 1.0 } else { (centre + half) / scale };
    [low, high]
}

/// One-sided exact upper bound of an error rate, `errors` seen among `n` (Clopper and Pearson, "The use of confidence or fiducial limits
/// illustrated in the case of the binomial", Biometrika 26, 1934): the quantile at `confidence` of Beta(errors + 1, n - errors).
///
/// `confidence` lies in (0, 1). 1 where nothing was tried, or all of it was wrong.
///
/// # Panics
/// Where there are more errors than trials, or `confidence` is outside (0, 1).
pub fn clopper_pearson_upper(errors: usize, n: usize, confidence: f64) -> f64 {
    check(errors, n, confidence);
    if errors == n {
        return 1.0;
    }
    if errors == 0 {
        return 1.0 - (1.0 - confidence).powf(1.0 / n as f64);
    }
    let beta = Beta::new((errors + 1) as f64, (n - errors) as f64).expect("both shapes are at least 1");
    beta.inverse_cdf(confidence)
}

/// One-sided exact lower bound of a success rate, `successes` seen among `n`: the quantile at 1 - `confidence` of
/// Beta(successes, n - successes + 1) (Clopper and Pearson 1934). 0 where nothing succeeded.
///
/// # Panics
/// As [`clopper_pearson_upper`].
pub fn clopper_pearson_lower(successes: usize, n: usize, confidence: f64) -> f64 {
    check(successes, n, confidence);
    if successes == 0 {
        return 0.0;
    }
    if successes == n {
        return (1.0 - confidence).powf(1.0 / n as f64);
    }
    let beta = Beta::new(successes as f64, (n - successes + 1) as f64).expect("both shapes are at least 1");
    beta.inverse_cdf(1.0 - confidence)
}

fn check(count: usize, n: usize, confidence: f64) {
    assert!(count <= n, "{count} of {n} is no share");
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence of {confidence} is outside (0, 1)");
}
