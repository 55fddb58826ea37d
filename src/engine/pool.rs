//! The mean of several softmaxes as logits: what an attack on a vote follows, for votes themselves have no gradient.
//!
//! `c_k = log(1/n sum_i softmax(z_i)_k)`, computed from logarithms alone, so that it is finite wherever the z are. Averaging
//! probabilities before the loss, and not losses, is what Salman et al. 2019 ("Provably Robust Deep Learning via Adversarially Trained
//! Smoothed Classifiers", section 3.1, equation 5) attack a smoothed classifier with.

use burn::tensor::{Tensor, activation};

/// c [rows, classes] of n logits [rows, classes].
pub fn log_mean_probability(logits: &[Tensor<2>]) -> Tensor<2> {
    if let [alone] = logits {
        return activation::log_softmax(alone.clone(), 1);
    }
    let logs: Vec<Tensor<2>> = logits.iter().map(|logits| activation::log_softmax(logits.clone(), 1)).collect();
    log_mean_of(&logs)
}

fn log_mean_of(logs: &[Tensor<2>]) -> Tensor<2> {
    let largest = logs.iter().cloned().reduce(Tensor::max_pair).expect("there is one at least");
    let sum = logs.iter().map(|log| (log.clone() - largest.clone()).exp()).reduce(|sum, term| sum + term).expect("there is one at least");
    largest + (sum / logs.len() as f32).log()
}

/// The gradients with respect to the z of a loss whose gradient with respect to c is `gradient` [rows, classes].
///
/// With `w_ik = softmax_ik / sum_i softmax_ik`: `g_k w_ik - softmax_ik sum_j g_j w_ij`.
pub fn pull(logits: &[Tensor<2>], gradient: &Tensor<2>) -> Vec<Tensor<2>> {
    let logs: Vec<Tensor<2>> = logits.iter().map(|logits| activation::log_softmax(logits.clone(), 1)).collect();
    let total = log_mean_of(&logs) + (logits.len() as f32).ln();
    let one = |log: &Tensor<2>| {
        let share = gradient.clone() * (log.clone() - total.clone()).exp();
        share.clone() - log.clone().exp() * share.sum_dim(1)
    };
    logs.iter().map(one).collect()
}
