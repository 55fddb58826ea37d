//! `[[certificate]]`.

use crate::options::Entry;
use crate::suite::check::options;
use crate::suite::reader::{Fields, Reader, list};
use crate::suite::resolve::{filled, named};
use crate::suite::spec::{CertificateSpec, CertifierEntry};
use crate::threat::Threat;

/// The certificates that can be read; a name twice is a mistake, and so is a certifier that works under none of the threats.
pub(super) fn certificates(reader: &mut Reader, tables: Vec<Fields>, threats: &[Threat], known: &[CertifierEntry]) -> Vec<CertificateSpec> {
    let entries: Vec<Entry> = known.iter().map(|certifier| certifier.entry).collect();
    let mut certificates: Vec<CertificateSpec> = Vec::new();
    for mut fields in tables {
        let span = fields.span.clone();
        let given = fields.take("name").and_then(|field| filled(reader, &field, "the certificate's name in results"));
        let Some(entry) = named(reader, &mut fields, "kind", "certificate", &entries) else { continue };
        let Some(certifier) = known.iter().find(|certifier| certifier.entry.name == entry.name) else { continue };
        let name = given.unwrap_or_else(|| entry.name.to_string());
        fields.place = format!("certificate `{name}`");
        if certificates.iter().any(|other| other.name == name) {
            let help = format!("tell them apart: add name = \"{name}-2\" to this one");
            reader.mistake(span.clone(), format!("a second certificate with the name {name:?}"), help);
        }
        if !threats.is_empty() && !threats.iter().any(|threat| certifier.norms.contains(&threat.norm)) {
            let norms: Vec<&str> = certifier.norms.iter().map(|norm| norm.name()).collect();
            let message = format!("{} certifies under none of the suite's norms", fields.place);
            reader.mistake(span.clone(), message, format!("add a [[threat]] with norm = one of {}, or leave it out", list(&norms)));
        }
        let before = reader.count();
        let options = options(reader, &mut fields, entry);
        if reader.count() == before
            && let Err(why) = (certifier.check)(&options)
        {
            reader.mistake(span, format!("{}: {why}", fields.place), "change one of these options");
        }
        fields.finish(reader);
        certificates.push(CertificateSpec { name, kind: entry.name.to_string(), options });
    }
    certificates
}
