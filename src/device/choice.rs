//! What `--device` says, and which adapters that means on this machine.

use crate::{Error, Result};

use super::adapter::{Adapter, list};

/// One device to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// The processor.
    Cpu,
    /// The adapter of that index in the list.
    Gpu(usize),
}

/// One word of `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Every hardware GPU, or the processor where there is none.
    Auto,
    /// The processor.
    Cpu,
    /// The adapter of that index, a software rasteriser too.
    Gpu(usize),
    /// Every hardware GPU and the processor.
    All,
}

/// What `--device` says, in the order written, no word twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(pub Vec<Named>);

impl Default for Selection {
    fn default() -> Self {
        Self(vec![Named::Auto])
    }
}

impl Selection {
    /// The devices that are meant on this machine. Asks for the adapters only where one may be meant: that loads drivers.
    ///
    /// # Errors
    /// As [`choose`].
    pub fn resolve(&self) -> Result<Vec<Choice>> {
        let cpu_alone = self.0.iter().all(|&named| named == Named::Cpu);
        choose(self, &if cpu_alone { Vec::new() } else { list() })
    }
}

const WORDS: &str = "known are auto, cpu, all and gpu:N with N from `gauntlet devices`, several joined by commas";

/// Reads `auto`, `cpu`, `gpu:N`, `all`, or several of them joined by commas.
///
/// # Errors
/// Every unknown word and every word that stands there twice, together.
pub fn parse(text: &str) -> Result<Selection> {
    let mut named = Vec::new();
    let mut errors = Vec::new();
    for word in text.split(',').map(str::trim) {
        match read(word) {
            Ok(one) if named.contains(&one) => {
                errors.push(Error::input(format!("--device {text}: {word} is named twice")).help("Name each device once."));
            }
            Ok(one) => named.push(one),
            Err(reason) => errors.push(Error::input(format!("--device {text}: {reason}")).help(format!("For --device, {WORDS}."))),
        }
    }
    match Error::many(format!("--device {text} cannot be read"), errors) {
        Some(error) => Err(error),
        None => Ok(Selection(named)),
    }
}

fn read(word: &str) -> Result<Named, String> {
    match word {
        "auto" => Ok(Named::Auto),
        "cpu" => Ok(Named::Cpu),
        "all" => Ok(Named::All),
        "" => Err("a device's name is missing".into()),
        "gpu" => Err("\"gpu\" lacks its index, as in gpu:0".into()),
        _ => match word.strip_prefix("gpu:") {
            // `parse` alone would take "+1".
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map(Named::Gpu).map_err(|_| format!("\"{word}\" has no usable index"))
            }
            Some(_) => Err(format!("the index of \"{word}\" is not a whole number")),
            None => Err(format!("\"{word}\" is no device")),
        },
    }
}

/// The devices that a selection means among `adapters`, each once, in the order written.
///
/// # Errors
/// Every index that the list does not have, with the list and the way out.
pub fn choose(selection: &Selection, adapters: &[Adapter]) -> Result<Vec<Choice>> {
    let hardware = || adapters.iter().filter(|adapter| !adapter.software).filter_map(|adapter| adapter.index.map(Choice::Gpu));
    let mut chosen: Vec<Choice> = Vec::new();
    let mut errors = Vec::new();
    for &named in &selection.0 {
        let meant: Vec<Choice> = match named {
            Named::Auto if hardware().next().is_some() => hardware().collect(),
            Named::Auto | Named::Cpu => vec![Choice::Cpu],
            Named::All => hardware().chain([Choice::Cpu]).collect(),
            Named::Gpu(index) if adapters.iter().any(|adapter| adapter.index == Some(index)) => vec![Choice::Gpu(index)],
            Named::Gpu(index) => {
                errors.push(missing(index, adapters));
                continue;
            }
        };
        for one in meant {
            if !chosen.contains(&one) {
                chosen.push(one);
            }
        }
    }
    match Error::many("Several devices are not there", errors) {
        Some(error) => Err(error),
        None => Ok(chosen),
    }
}

/// The error for an index that the list does not have.
pub(super) fn missing(index: usize, adapters: &[Adapter]) -> Error {
    let count = adapters.iter().filter(|adapter| adapter.index.is_some()).count();
    let known = match count {
        0 => "no graphics adapter was found".into(),
        1 => "the only adapter is gpu:0".into(),
        _ => format!("the adapters are gpu:0 to gpu:{}", count - 1),
    };
    Error::input(format!("There is no device gpu:{index}: {known}")).help(way_out(adapters))
}

/// The list, in lines short enough for a help text, then what to do.
pub(super) fn way_out(adapters: &[Adapter]) -> String {
    let advice = if adapters.iter().any(|adapter| adapter.index.is_some()) {
        "Name one of these with --device; --device cpu needs no driver."
    } else if cfg!(target_os = "linux") {
        "Install the card's Vulkan driver (NVIDIA: the vendor's package; AMD, Intel and software: mesa-vulkan-drivers), check that \
         VK_ICD_FILENAMES and VK_DRIVER_FILES are unset or right, or run with --device cpu, which needs no driver."
    } else {
        "Install or update the card's graphics driver, or run with --device cpu, which needs no driver."
    };
    let line = |adapter: &Adapter| format!("  {:6} {} [{}, {}]", adapter.label(), adapter.name, adapter.kind.name(), adapter.api);
    let lines: Vec<String> = adapters.iter().map(line).collect();
    format!("This machine offers:\n{}\n{advice}", lines.join("\n"))
}
