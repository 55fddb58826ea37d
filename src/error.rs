//! One error type for the whole engine.
//!
//! A message names the file, field, tensor or row, the values that disagree, and the way out. Several mistakes travel together as
//! [`Error::many`], so that a user mends a suite once. The [`Kind`] decides the exit code.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as the caller of the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be carried out as written; nothing was run. Exit code 2.
    Input,
    /// Data became unreadable midway. Exit code 3.
    Data,
    /// A device could not be had, was lost, or ran out of memory. Exit code 3.
    Device,
    /// The run's folder cannot be read or written. Exit code 3.
    Store,
    /// The user stopped the run. Exit code 3.
    Interrupted,
}

/// Bytes of a line that a report shows; reports cannot be drawn with columns beyond 65,535.
const LONGEST_DRAWN: usize = 4096;

/// A file's text with a byte range in it.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    source: Arc<NamedSource<String>>,
    offset: usize,
    length: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    kind: Kind,
    message: String,
    help: Option<String>,
    place: Option<Place>,
    related: Vec<Error>,
}

/// An error with its way out, and the place in a file where there is one.
#[derive(Clone, PartialEq)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), help: None, place: None, related: Vec::new() }))
    }

    /// Bad input: nothing was run.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// Data that became unreadable midway.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// A device that could not be had, was lost, or ran out of memory.
    pub fn device(message: impl Into<String>) -> Self {
        Self::new(Kind::Device, message)
    }

    /// A run's folder that cannot be read or written.
    pub fn store(message: impl Into<String>) -> Self {
        Self::new(Kind::Store, message)
    }

    /// Several errors as one, equal ones once; `None` where there are none. The first one's kind is the whole's.
    pub fn many(message: impl Into<String>, errors: Vec<Error>) -> Option<Self> {
        let mut distinct: Vec<Error> = Vec::with_capacity(errors.len());
        for error in errors {
            if !distinct.iter().any(|other| other.0 == error.0) {
                distinct.push(error);
            }
        }
        let mut errors = distinct;
        match errors.len() {
            0 => None,
            1 => errors.pop(),
            _ => {
                let mut whole = Self::new(errors[0].kind(), message);
                whole.0.related = errors;
                Some(whole)
            }
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the way out where none is told.
    #[must_use]
    pub fn or_help(self, help: impl Into<String>) -> Self {
        if self.0.help.is_some() { self } else { self.help(help) }
    }

    /// Says what it is about, in front of the message.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.0.message = format!("{subject}: {}", self.0.message);
        self.0.related = self.0.related.into_iter().map(|error| error.about(subject)).collect();
        self
    }

    /// Points at bytes `span` of a file's text; where a line is too long to be drawn, the message names file and line instead.
    #[must_use]
    pub fn at(mut self, source: &Arc<NamedSource<String>>, span: std::ops::Range<usize>) -> Self {
        let text = source.inner().as_bytes();
        let (before, rest) = text.split_at(span.start.min(text.len()));
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = rest.iter().skip(span.len()).position(|byte| *byte == b'\n').map_or(text.len(), |at| before.len() + span.len() + at);
        if text[start..end].split(|byte| *byte == b'\n').any(|line| line.len() > LONGEST_DRAWN) {
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            return self.about(&format!("{}, line {line}", source.name()));
        }
        self.0.place = Some(Place { source: source.clone(), offset: span.start, length: span.len() });
        self
    }

    /// Turns the kind into another, for instance an input error met midway.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What went wrong, as the caller of the program sees it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message without the place and the way out.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The errors that this one gathers; itself alone where it gathers none.
    pub fn all(&self) -> Vec<&Error> {
        if self.0.related.is_empty() { vec![self] } else { self.0.related.iter().collect() }
    }

    /// The program's exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self.kind() {
            Kind::Input => 2,
            Kind::Data | Kind::Device | Kind::Store | Kind::Interrupted => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message)?;
        if let Some(help) = &self.0.help {
            write!(f, " ({help})")?;
        }
        for error in &self.0.related {
            write!(f, "\n  {error:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Diagnostic for Error {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.place.as_ref().map(|place| &*place.source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.0.place.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".into()), place.offset, place.length))))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.0.related.is_empty() {
            return None;
        }
        Some(Box::new(self.0.related.iter().map(|error| error as &dyn Diagnostic)))
    }
}
