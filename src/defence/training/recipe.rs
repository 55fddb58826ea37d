//! The options that every method shares, and what they ask of the loop.

use super::augment::Augmentation;
use super::average::Averaging;
use super::optimiser::Kind;
use super::schedule::Schedule;
use crate::options::{Accepts, OptionSpec, Options};

/// Options of every method, in the order of the lists.
pub(in crate::defence) const SHARED: [OptionSpec; 20] = [
    OptionSpec { name: "epochs", accepts: Accepts::Integer(1, 100_000), default: Some("10"), help: "passes over the training examples" },
    OptionSpec {
        name: "batch",
        accepts: Accepts::Integer(1, 65_536),
        default: Some("64"),
        help: "examples a step; what does not fill a batch waits for the next epoch's order",
    },
    OptionSpec {
        name: "optimizer",
        accepts: Accepts::Choice(&["adam", "adamw", "sgd"]),
        default: Some("\"adam\""),
        help: "adam and adamw (beta 0.9, 0.999; adamw decays the weights apart from the gradient) or sgd",
    },
    OptionSpec { name: "learning_rate", accepts: Accepts::Number(1e-8, 100.0), default: Some("0.001"), help: "the largest rate" },
    OptionSpec {
        name: "schedule",
        accepts: Accepts::Choice(&["constant", "cosine", "linear", "step", "cyclic", "one-cycle"]),
        default: Some("\"constant\""),
        help: "cosine and linear fall to 0 over all steps; step divides by 10 at 50 % and at 75 %; cyclic rises from 0 until 40 % and falls to 0 \
               (Wong et al. 2020); one-cycle rises from 1/25 until 30 % and falls to 1/250,000 by cosines (Smith and Topin 2018)",
    },
    OptionSpec {
        name: "warmup",
        accepts: Accepts::Number(0.0, 1.0),
        default: Some("0.0"),
        help: "share of the steps over which the rate also rises from 0",
    },
    OptionSpec { name: "momentum", accepts: Accepts::Number(0.0, 0.9999), default: Some("0.9"), help: "momentum; read by sgd" },
    OptionSpec { name: "nesterov", accepts: Accepts::Flag, default: Some("false"), help: "Nesterov's momentum; read by sgd" },
    OptionSpec {
        name: "weight_decay",
        accepts: Accepts::Number(0.0, 10.0),
        default: Some("0.0"),
        help: "l2 penalty added to the gradient; with adamw, share of the weights that goes a step, times the rate",
    },
    OptionSpec {
        name: "clip",
        accepts: Accepts::Number(0.0, 1e6),
        default: Some("0.0"),
        help: "largest l2 norm of all gradients together; 0: any",
    },
    OptionSpec {
        name: "label_smoothing",
        accepts: Accepts::Number(0.0, 0.999),
        default: Some("0.0"),
        help: "probability that the cross-entropy spreads evenly over all classes (Szegedy et al. 2016)",
    },
    OptionSpec {
        name: "augment",
        accepts: Accepts::Choice(&["none", "crop", "flip", "crop-flip"]),
        default: Some("\"none\""),
        help: "crop: a window of the image padded by `padding` zeros; flip: left and right, every other time",
    },
    OptionSpec {
        name: "padding",
        accepts: Accepts::Integer(0, 256),
        default: Some("4"),
        help: "pixels a side; read by augment = \"crop\"",
    },
    OptionSpec {
        name: "cutout",
        accepts: Accepts::Integer(0, 4096),
        default: Some("0"),
        help: "side of a square set to 0, pixels; its middle is anywhere in the image (DeVries and Taylor 2017); 0: none",
    },
    OptionSpec {
        name: "mixup",
        accepts: Accepts::Number(0.0, 100.0),
        default: Some("0.0"),
        help: "alpha of the Beta distribution that pairs of examples are mixed by (Zhang et al. 2018); 0: none",
    },
    OptionSpec {
        name: "average",
        accepts: Accepts::Choice(&["none", "ema", "swa"]),
        default: Some("\"none\""),
        help: "deploy averaged weights: ema, exponentially by `average_decay` a step; swa, of the ends of epochs (Izmailov et al. 2018)",
    },
    OptionSpec {
        name: "average_decay",
        accepts: Accepts::Number(0.0, 0.999_999),
        default: Some("0.995"),
        help: "weight of the average so far; read by average = \"ema\"",
    },
    OptionSpec {
        name: "average_from",
        accepts: Accepts::Number(0.0, 1.0),
        default: Some("0.5"),
        help: "share of the epochs after which ends are averaged; read by average = \"swa\"",
    },
    OptionSpec {
        name: "validation",
        accepts: Accepts::Number(0.0, 0.9),
        default: Some("0.0"),
        help: "share of the training examples kept apart, on which PGD-10, or the noise of `gaussian`, measures each epoch; the best epoch's weights are deployed (Rice et al. 2020)",
    },
    OptionSpec {
        name: "patience",
        accepts: Accepts::Integer(0, 100_000),
        default: Some("0"),
        help: "epochs without a better validation after which training stops; 0: none are too many",
    },
];

/// The shared options and a method's own.
pub(in crate::defence) const fn join<const N: usize>(own: &[OptionSpec]) -> [OptionSpec; N] {
    let mut all = [SHARED[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < SHARED.len() { SHARED[at] } else { own[at - SHARED.len()] };
        at += 1;
    }
    all
}

/// The shared options followed by a method's own.
macro_rules! options {
    ($($own:expr),* $(,)?) => {{
        const OWN: &[$crate::options::OptionSpec] = &[$($own),*];
        const ALL: [$crate::options::OptionSpec; $crate::defence::training::recipe::SHARED.len() + OWN.len()] =
            $crate::defence::training::recipe::join(OWN);
        &ALL
    }};
}
pub(in crate::defence) use options;

/// Rules between shared options.
pub(in crate::defence) fn check(options: &Options) -> Result<(), String> {
    let validated = options.number("validation").is_some_and(|share| share > 0.0);
    if options.integer("patience").is_some_and(|patience| patience > 0) && !validated {
        return Err("`patience` waits for a better validation, but `validation` is 0: give it a share such as 0.1".into());
    }
    if options.flag("nesterov") == Some(true) && (options.text("optimizer") != Some("sgd") || options.number("momentum") == Some(0.0)) {
        return Err("`nesterov` is a momentum of sgd: add optimizer = \"sgd\" with a momentum above 0, or remove it".into());
    }
    Ok(())
}

/// What the shared options ask of the loop.
pub(super) struct Recipe {
    pub epochs: usize,
    pub batch: usize,
    pub kind: Kind,
    pub rate: f64,
    pub schedule: Schedule,
    pub warmup: f64,
    pub clip: Option<f64>,
    pub smoothing: f32,
    pub augmentation: Augmentation,
    pub averaging: Averaging,
    pub validation: f64,
    pub patience: usize,
}

impl Recipe {
    pub(super) fn new(options: &Options) -> Self {
        let number = |name| options.number(name).unwrap_or(0.0);
        let size = |name, otherwise| options.integer(name).and_then(|size| usize::try_from(size).ok()).unwrap_or(otherwise);
        Self {
            epochs: size("epochs", 10),
            batch: size("batch", 64),
            kind: Kind::new(options),
            rate: options.number("learning_rate").unwrap_or(1e-3),
            schedule: Schedule::named(options.text("schedule")),
            warmup: number("warmup"),
            clip: options.number("clip").filter(|&clip| clip > 0.0),
            smoothing: number("label_smoothing") as f32,
            augmentation: Augmentation::new(options),
            averaging: Averaging::new(options),
            validation: number("validation"),
            patience: size("patience", 0),
        }
    }
}
