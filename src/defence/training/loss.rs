//! Losses of training. Logits are [rows, classes], labels `[rows]`, probabilities [rows, classes]; every loss is a mean over the rows, and
//! gradients flow to the logits. What comes beside the logits may live on the plain device.

use burn::tensor::{Int, Tensor, activation};

/// 1 [rows, classes] at each row's label, else 0.
pub fn one_hot(labels: Tensor<1, Int>, classes: usize) -> Tensor<2> {
    labels.one_hot::<2>(classes).float()
}

/// Cross-entropy of labels.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let picked = activation::log_softmax(logits, 1).gather(1, labels.autodiff().reshape([rows, 1]));
    picked.mean().neg()
}

/// Cross-entropy of probabilities: the mean over the rows of -sum p log softmax(z).
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (activation::log_softmax(logits, 1) * targets.autodiff()).sum_dim(1).mean().neg()
}

/// KL(softmax(from) || softmax(to)): the regulariser of TRADES (Zhang et al. 2019, equation 5). Gradients flow to both.
pub fn divergence(from: Tensor<2>, to: Tensor<2>) -> Tensor<1> {
    let from = activation::log_softmax(from, 1);
    (from.clone().exp() * (from - activation::log_softmax(to, 1))).sum_dim(1).mean()
}

/// What the authors' code of MART adds to probabilities before their logarithm, and to 1 before what it takes from it.
const TINY: f32 = 1e-12;
const ABOVE_ONE: f32 = 1.0001;
const JUST_ABOVE_ONE: f32 = 1.000_000_1;

/// The boosted cross-entropy of MART on adversarial logits (Wang et al. 2020, equation 6, as the authors' code has it): cross-entropy less
/// the logarithm of 1 less the largest other probability. `fitted` is the cross-entropy of these logits.
pub fn boosted(adversarial: Tensor<2>, labels: Tensor<1, Int>, fitted: Tensor<1>) -> Tensor<1> {
    let classes = adversarial.dims()[1];
    let others = one_hot(labels, classes).autodiff().neg() + 1.0;
    let largest = (activation::softmax(adversarial, 1) * others).max_dim(1);
    fitted - (largest.neg() + (ABOVE_ONE + TINY)).log().mean()
}

/// The regulariser of MART (equation 8, likewise): KL(clean || adversarial) of each row times 1 less the clean probability of its label.
pub fn misclassification_aware(clean: Tensor<2>, adversarial: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = clean.dims();
    let probabilities = activation::softmax(clean.clone(), 1);
    let against = (activation::softmax(adversarial, 1) + TINY).log();
    let divergence = (probabilities.clone() * (activation::log_softmax(clean, 1) - against)).sum_dim(1);
    let own = probabilities.gather(1, labels.autodiff().reshape([rows, 1]));
    (divergence * (own.neg() + JUST_ABOVE_ONE)).mean()
}
