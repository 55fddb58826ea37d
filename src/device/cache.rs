//! Where what Burn finds out about a device is kept between runs: which kernels are the fastest there, and, where it compiles SPIR-V, the
//! compiled kernels.
//!
//! Burn alone would keep them in the folder `target` beside the outermost `Cargo.toml` above the working folder. Here they go to a
//! folder of the user's ([`folder`]), so that a run is warm wherever it is started. A `burn.toml` or `cubecl.toml` that names another
//! place is heeded, and so are Burn's `CUBECL_*` variables. Shaders that go to the driver as WGSL are cached by the driver, in a folder
//! of its own.
//!
//! Burn tells devices apart by the order in which a process opened them alone. One file a list of adapters keeps another card, or another
//! driver, from inheriting what was measured here; on a machine with several kinds of cards a run that names them in another order may
//! still begin with the other card's choice of kernels, which is a matter of speed.

use std::path::PathBuf;

use super::adapter::Adapter;

/// Names another folder.
pub const VARIABLE: &str = "GAUNTLET_CACHE";

/// The folder: what [`VARIABLE`] says, else `gauntlet` in the user's folder for caches (`$XDG_CACHE_HOME`, `~/.cache`,
/// `~/Library/Caches`, `%LOCALAPPDATA%`). None where the system names none.
pub fn folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    etcetera::choose_base_strategy().ok().map(|strategy| strategy.cache_dir().join("gauntlet"))
}

/// The file's name, for the adapters of this machine.
fn name(adapters: &[Adapter]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("gauntlet adapters of a machine");
    for text in adapters.iter().flat_map(|adapter| [&adapter.name, &adapter.api, &adapter.driver]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..16].into()
}

/// Has Burn keep things there. To be called before the first device is opened; later calls change nothing.
pub(super) fn settle(adapters: &[Adapter]) {
    use cubecl::config::cache::CacheConfig;
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    if let (CacheConfig::Target, Some(folder)) = (&config.environment.path, folder()) {
        config.environment.path = CacheConfig::Directory(folder);
        config.environment.name = name(adapters);
    }
    config.compilation.cache = true;
    if !CubeClRuntimeConfig::try_set(config) {
        tracing::debug!("Burn's settings were read before: it keeps what it finds where they say");
    }
}
