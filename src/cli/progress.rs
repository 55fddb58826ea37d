//! Progress: bars on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::defence::Progress;
use crate::evaluate::record::SeriesKey;
use crate::suite::run::Observer;

/// Shows how a run goes.
pub struct Lines {
    quiet: bool,
    terminal: bool,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Lines {
    /// Lines, or silence.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal(), bars: Mutex::default() }
    }

    /// Ends the bars.
    pub fn finish(&self) {
        for bar in self.bars.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self, name: String, done: usize, total: usize, message: String) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(name.clone()).or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix:40} {bar:30} {pos}/{len} {eta:>5} {msg}").expect("the template is fixed");
            bar.with_style(style).with_prefix(name)
        });
        bar.set_position(done as u64);
        bar.set_message(message);
        if done == total {
            bar.finish();
        }
    }
}

impl Observer for Lines {
    fn note(&self, line: &str) {
        if !self.quiet {
            super::tell(line);
        }
    }

    fn training(&self, defence: &str, progress: &Progress) {
        if self.quiet {
            return;
        }
        let epoch = progress.epoch;
        let robust = epoch.robust_accuracy.map_or(String::new(), |robust| format!(", robust {:.1} %", 100.0 * robust));
        let validation = epoch.validation.map_or(String::new(), |found| {
            let robust = found.robust_accuracy.map_or(String::new(), |robust| format!(", robust {:.1} %", 100.0 * robust));
            format!("; validation: clean {:.1} %{robust}", 100.0 * found.clean_accuracy)
        });
        let checked = epoch.checked_accuracy.map_or(String::new(), |checked| format!("; PGD on a batch {:.1} %", 100.0 * checked));
        let event = epoch.event.map_or(String::new(), |event| format!("; {}", event.words()));
        let figures = format!(
            "epoch {}: loss {:.3}, clean {:.1} %{robust}{validation}{checked}{event}",
            epoch.epoch,
            epoch.loss,
            100.0 * epoch.clean_accuracy
        );
        if self.terminal {
            self.bar(format!("train {defence}"), progress.step, progress.steps, figures);
        } else if progress.ended {
            super::tell(&format!("train {defence}: {figures}"));
        }
    }

    fn series(&self, key: &SeriesKey, done: usize, total: usize) {
        if self.quiet {
            return;
        }
        let name = format!("{} / {} / {}", key.defence, key.attack, key.norm.name());
        if self.terminal {
            self.bar(name, done, total, String::new());
        } else if done == total {
            super::tell(&format!("{name}: {total} examples"));
        }
    }
}
