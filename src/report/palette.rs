//! Colours, markers and dashes: any two of them together tell curves apart without colour vision and on grey paper.

/// Red, green and blue, 0 to 255.
pub type Colour = [u8; 3];

/// Text, axes and the worst case.
pub const INK: Colour = [0x1a, 0x1a, 0x1a];
/// Secondary text.
pub const FAINT: Colour = [0x59, 0x59, 0x59];
/// Grid lines.
pub const GRID: Colour = [0xdd, 0xdd, 0xdd];
/// The paper.
pub const PAPER: Colour = [0xff, 0xff, 0xff];
/// Warnings: incomplete runs and failed rows.
pub const ALARM: Colour = [0xb0, 0x00, 0x20];

/// Okabe and Ito's colours for all kinds of colour vision (2008), without black, which is the worst case, and yellow, which is too light.
const OKABE_ITO: [Colour; 6] =
    [[0x00, 0x72, 0xb2], [0xd5, 0x5e, 0x00], [0x00, 0x9e, 0x73], [0xcc, 0x79, 0xa7], [0x56, 0xb4, 0xe9], [0xe6, 0x9f, 0x00]];

/// Lengths of ink and gap in pixels; empty: a solid line.
pub type Dash = &'static [f64];

/// The dash of the clean accuracy.
pub const CLEAN_DASH: Dash = &[8.0, 5.0];

const DASHES: [Dash; 5] = [&[], &[11.0, 4.0], &[3.0, 3.0], &[11.0, 3.0, 3.0, 3.0], &[6.0, 4.0]];

/// The mark at a measured point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A triangle that points up.
    Up,
    /// A square on its corner.
    Diamond,
    /// A triangle that points down.
    Down,
    /// An upright cross.
    Plus,
    /// A diagonal cross.
    Cross,
}

const MARKERS: [Marker; 7] = [Marker::Disc, Marker::Square, Marker::Up, Marker::Diamond, Marker::Down, Marker::Plus, Marker::Cross];

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Of line and marker.
    pub colour: Colour,
    /// At every point; `None`: a bare line.
    pub marker: Option<Marker>,
    /// Of the line.
    pub dash: Dash,
    /// Of the line, in pixels.
    pub width: f64,
}

impl Style {
    /// The style of curve `index`: six colours, seven markers and five dashes run through at once, so 210 curves differ.
    pub fn nth(index: usize, width: f64) -> Self {
        Self {
            colour: OKABE_ITO[index % OKABE_ITO.len()],
            marker: Some(MARKERS[index % MARKERS.len()]),
            dash: DASHES[index % DASHES.len()],
            width,
        }
    }

    /// The worst case: black, solid and bold.
    pub fn worst() -> Self {
        Self { colour: INK, marker: None, dash: &[], width: 5.0 }
    }
}

/// Viridis (van der Walt and Smith 2015, CC0) at equal distances from 0 to 1.
const VIRIDIS: [Colour; 11] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x25, 0x76],
    [0x41, 0x44, 0x87],
    [0x35, 0x60, 0x8d],
    [0x2a, 0x78, 0x8e],
    [0x21, 0x90, 0x8d],
    [0x22, 0xa8, 0x84],
    [0x43, 0xbf, 0x71],
    [0x7a, 0xd1, 0x51],
    [0xbc, 0xdf, 0x27],
    [0xfd, 0xe7, 0x25],
];

/// The colour of a share from 0 (dark) to 1 (light), perceptually uniform.
pub fn viridis(share: f64) -> Colour {
    let place = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let low = (place as usize).min(VIRIDIS.len() - 2);
    mix(VIRIDIS[low], VIRIDIS[low + 1], place - low as f64)
}

/// White for no change, blue for darker, red for brighter; `value` from -1 to 1.
pub fn diverging(value: f64) -> Colour {
    let end = if value < 0.0 { [0x00, 0x4b, 0x8d] } else { [0xb0, 0x1e, 0x00] };
    mix([0xff, 0xff, 0xff], end, value.abs().min(1.0))
}

/// Black or white, whichever is read better on `background` (WCAG relative luminance).
pub fn readable_on(background: Colour) -> Colour {
    let linear = |channel: u8| (f64::from(channel) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(background[0]) + 0.7152 * linear(background[1]) + 0.0722 * linear(background[2]);
    if luminance > 0.179 { INK } else { PAPER }
}

fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    std::array::from_fn(|channel| (f64::from(from[channel]) * (1.0 - share) + f64::from(to[channel]) * share).round() as u8)
}
