//! Certificates of a run: which there are, and their radii, kept chunk by chunk so that a run that was stopped goes on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::resolved::Resolved;
use super::run::Run;
use super::schedule::check_interrupt;
use super::{CertificateSpec, DefenceSpec, Suite};
use crate::attack;
use crate::certify::{self, Certificate, Certifier, Example, Setting, Subject, smoothing};
use crate::defence::Prepared;
use crate::engine::oracle::Oracle;
use crate::evaluate::record::SeriesKey;
use crate::model::source::Design;
use crate::store::Store;
use crate::threat::Norm;
use crate::{Error, Result};

/// Radii found since the last commit are lost with a process that dies, so they are not let wait for long.
const COMMIT_AFTER: Duration = Duration::from_secs(5);

/// A defence that is certified under a norm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The defence's name.
    pub defence: String,
    /// The certificate entry's name.
    pub certificate: String,
    /// The certifier's name.
    pub kind: String,
    /// The norm.
    pub norm: Norm,
    /// Whether it speaks of another classifier than the one that is attacked: the smoothed network, where the bare one is.
    #[serde(default)]
    pub apart: bool,
}

/// A defence that a certifier cannot handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The defence's name.
    pub defence: String,
    /// The certificate entry's name.
    pub certificate: String,
    /// Why not.
    pub why: String,
}

/// What was found of a defence, by example.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// One an example that is done.
    pub certificates: Vec<Certificate>,
    /// Wall seconds.
    pub seconds: f64,
}

/// Which certificates a suite asks for, and which cannot be had.
pub(super) fn planned(suite: &Suite, designs: &[Vec<Design>]) -> Result<(Vec<Planned>, Vec<Refused>)> {
    let (mut planned, mut refused) = (Vec::new(), Vec::new());
    for (defence_spec, members) in suite.defences.iter().zip(designs) {
        for spec in &suite.certificates {
            let row = certify::certifier(&spec.kind)?;
            let names = || (defence_spec.name.clone(), spec.name.clone());
            let handled = match &members[..] {
                [Design { graph, weights, .. }] => (row.handles)(&Subject { graph, weights, stack: &defence_spec.stack }),
                _ => Err(Error::input("several networks answer together, and no bound is known over them")),
            };
            if let Err(error) = handled {
                let (defence, certificate) = names();
                refused.push(Refused { defence, certificate, why: error.message().to_string() });
                continue;
            }
            for threat in suite.threats.iter().filter(|threat| row.norms.contains(&threat.norm)) {
                let (defence, certificate) = names();
                let apart = spec.kind == smoothing::NAME && defence_spec.stack.is_empty();
                planned.push(Planned { defence, certificate, kind: spec.kind.clone(), norm: threat.norm, apart });
            }
        }
    }
    Ok((planned, refused))
}

/// What a store has of a certificate.
///
/// # Errors
/// A store that cannot be read, or is damaged.
pub fn of(store: &Store, planned: &Planned) -> Result<Record> {
    let damaged = |error| {
        let message = format!("the certificate \"{}\" of \"{}\" cannot be read: {error}", planned.certificate, planned.defence);
        Error::store(message).help("run the suite again with --fresh")
    };
    let text = store.fact(&fact(planned))?;
    Ok(text.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()?.unwrap_or_default())
}

fn fact(planned: &Planned) -> String {
    format!("certificate {} of {} under {}", planned.certificate, planned.defence, planned.norm.name())
}

impl Resolved {
    /// The certificate entry of that name.
    pub(super) fn certificate(&self, planned: &Planned) -> &CertificateSpec {
        let named = |spec: &&CertificateSpec| spec.name == planned.certificate;
        self.suite.certificates.iter().find(named).expect("what is planned comes from an entry")
    }

    /// The certifier of a defence on a device.
    pub(super) fn certifier(
        &self,
        spec: &DefenceSpec,
        prepared: &Prepared,
        planned: &Planned,
        device: &Device,
        slots: usize,
    ) -> Result<Box<dyn Certifier>> {
        let options = &self.certificate(planned).options;
        let classifier = prepared.on(device);
        let (graph, weights) = (classifier.network.graph().clone(), classifier.network.weights());
        let subject = Subject { graph: &graph, weights: &weights, stack: &spec.stack };
        let key = attack::random_key(self.suite.seed, &planned.kind, planned.norm, options);
        let setting = Setting { base: Oracle::new(classifier, device.clone()), slots, key };
        (certify::certifier(&planned.kind)?.build)(&subject, options, &setting)
    }
}

impl Run<'_> {
    /// Certifies what is left of a defence's examples.
    pub(super) fn certify(&self, spec: &DefenceSpec, prepared: &Prepared) -> Result<()> {
        for planned in self.resolved.certificates.iter().filter(|planned| planned.defence == spec.name) {
            self.certify_under(spec, prepared, planned)?;
        }
        Ok(())
    }

    fn certify_under(&self, spec: &DefenceSpec, prepared: &Prepared, planned: &Planned) -> Result<()> {
        let data = &self.resolved.data;
        let mut record = of(self.store, planned)?;
        let done: BTreeSet<u32> = record.certificates.iter().map(|certificate| certificate.example).collect();
        let left: Vec<usize> = (0..data.len()).filter(|&at| !done.contains(&data.ids[at])).collect();
        let key = SeriesKey { defence: spec.name.clone(), attack: planned.certificate.clone(), norm: planned.norm };
        if left.is_empty() {
            return Ok(());
        }
        let station = self.stations.first()?;
        let certifier = self.resolved.certifier(spec, prepared, planned, &station.handle.device, station.info.slots)?;
        let epsilons = &self.resolved.threat(&key).epsilons;
        let (mut began, mut kept) = (Instant::now(), Instant::now());
        for positions in left.chunks(certifier.at_once()) {
            self.observer.series(&key, record.certificates.len(), data.len());
            check_interrupt()?;
            let images: Vec<Vec<f32>> = positions.iter().map(|&at| data.image(at)).collect();
            let example = |(&at, image)| Example { id: data.ids[at], image, label: data.labels[at] };
            let examples: Vec<Example> = positions.iter().zip(images.iter().map(Vec::as_slice)).map(example).collect();
            record.certificates.extend(certifier.certify(&examples, planned.norm, epsilons)?);
            if kept.elapsed() > COMMIT_AFTER || record.certificates.len() == data.len() {
                record.seconds += began.elapsed().as_secs_f64();
                (began, kept) = (Instant::now(), Instant::now());
                self.store.put_fact(&fact(planned), &serde_json::to_string(&record).expect("certificates are plain JSON"))?;
            }
        }
        self.observer.series(&key, data.len(), data.len());
        tracing::info!(defence = %spec.name, certificate = %planned.certificate, norm = planned.norm.name(), seconds = record.seconds, "certified");
        Ok(())
    }
}
