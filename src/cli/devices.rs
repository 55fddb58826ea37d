//! `gauntlet devices`: what `--device` may name on this machine.

use crate::device::{Adapter, list, table};
use crate::{Error, Result};

/// Prints every adapter and the processor: a table, or with `json` an array of [`Adapter`]s.
///
/// # Errors
/// An output that cannot be written.
pub fn run(json: bool) -> Result<()> {
    let adapters = list();
    let text = if json { as_json(&adapters)? } else { as_text(&adapters) };
    super::say(&text)
}

fn as_json(adapters: &[Adapter]) -> Result<String> {
    serde_json::to_string_pretty(adapters).map_err(|error| Error::store(format!("The list of devices cannot be written: {error}")))
}

fn as_text(adapters: &[Adapter]) -> String {
    let mut text = table(adapters);
    if adapters.iter().all(|adapter| adapter.index.is_none()) {
        text.push_str("\n\nNo graphics adapter was found; the CPU needs none. A GPU needs its driver (Vulkan, Metal or DirectX 12).");
    }
    text
}
