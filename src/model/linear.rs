//! One affine map from pixels to logits: the model whose optimal perturbation is known in closed form.

use super::ModelRow;
use crate::graph::Builder;
use crate::options::Entry;

pub(super) const ROW: ModelRow = ModelRow {
    entry: Entry { name: "linear", summary: "one affine map from pixels to logits", options: &[] },
    build: |blueprint| {
        let mut net = Builder::new(blueprint.shape, blueprint.classes);
        let pixels = net.flatten(net.input())?;
        let logits = net.linear("dense", pixels, blueprint.classes, true)?;
        net.finish(logits)
    },
};
