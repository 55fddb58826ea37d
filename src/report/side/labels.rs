//! Labels of a scatter plot's points: every point has one, beside it or at the end of a leader, by name or, where they are many, by number.

use super::super::axes::Frame;
use super::super::font;
use super::super::palette::{FAINT, PAPER};
use super::super::picture::{Picture, Point, Type};

const EM: f64 = 12.5;
/// More points than these are numbered.
const NAMED: usize = 12;
/// Pixels from a point to labels that have a leader.
const LEADERS: [f64; 6] = [16.0, 28.0, 42.0, 58.0, 78.0, 100.0];
/// Directions in which a leader may go.
const DIRECTIONS: usize = 16;
const LEADER_WIDTH: f64 = 0.9;
/// Pixels from a point's middle to where its leader begins.
const RIM: f64 = 7.0;

/// Left, top, right and bottom.
type Bounds = [f64; 4];

/// A place for a label: where its baseline begins, what it covers, and its leader.
struct Spot {
    corner: Point,
    bounds: Bounds,
    leader: Option<[Point; 2]>,
}

/// What labels must keep off.
struct Taken {
    marks: Vec<Bounds>,
    labels: Vec<Bounds>,
    lines: Vec<Bounds>,
}

/// Labels all `places`, those of `first` before the others and all off the steps of `front`; says whether by number, counted from 1.
pub fn label(picture: &mut Picture, frame: &Frame, names: &[&str], places: &[Point], first: &[usize], front: &[Point]) -> bool {
    let others = (0..places.len()).filter(|at| !first.contains(at));
    let order: Vec<usize> = first.iter().copied().chain(others).collect();
    let named: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let by_name = if names.len() > NAMED { None } else { arrange(frame, &named, places, &order, front, false) };
    let numbered = by_name.is_none();
    let numbers: Vec<String> = (1..=names.len()).map(|number| number.to_string()).collect();
    let texts = if numbered { numbers } else { named };
    let spots = by_name.or_else(|| arrange(frame, &texts, places, &order, front, true)).unwrap_or_default();
    for (at, Spot { corner, bounds: [left, top, right, bottom], leader }) in spots {
        if let Some([from, to]) = leader {
            picture.line(vec![from, to], FAINT, LEADER_WIDTH);
        }
        picture.rectangle((left, top), right - left, bottom - top, PAPER, 0.75);
        picture.text(corner, &texts[at], Type::plain(EM));
    }
    numbered
}

/// A spot for every label in `order`; `None` where one has no room, unless `forced`: then it covers as little as it can.
fn arrange(
    frame: &Frame,
    texts: &[String],
    places: &[Point],
    order: &[usize],
    front: &[Point],
    forced: bool,
) -> Option<Vec<(usize, Spot)>> {
    let marks = places.iter().map(|(x, y)| [x - 7.0, y - 7.0, x + 7.0, y + 7.0]).collect();
    // The front's steps are level or upright, so that each is a box.
    let steps = front.windows(2).map(|ends| {
        let [(a, b), (c, d)] = [ends[0], ends[1]];
        [a.min(c) - 1.0, b.min(d) - 1.0, a.max(c) + 1.0, b.max(d) + 1.0]
    });
    let mut taken = Taken { marks, labels: Vec::new(), lines: steps.collect() };
    let mut found = Vec::new();
    for &at in order {
        let mut spots = spots(places[at], font::width(&texts[at], EM, false));
        let free = spots.iter().position(|spot| taken.covered(frame, at, spot) == 0.0);
        let least = || {
            let covered: Vec<f64> = spots.iter().map(|spot| taken.covered(frame, at, spot)).collect();
            (0..spots.len()).min_by(|&a, &b| covered[a].total_cmp(&covered[b]))
        };
        let chosen = free.or_else(|| if forced { least() } else { None })?;
        let spot = spots.swap_remove(chosen);
        taken.labels.push(spot.bounds);
        taken.lines.extend(spot.leader.iter().flat_map(along));
        found.push((at, spot));
    }
    Some(found)
}

/// Where a label may stand, the nearest first.
fn spots((x, y): Point, wide: f64) -> Vec<Spot> {
    let bounds = |(left, base): Point| [left - 2.0, base - EM * 0.8, left + wide + 2.0, base + EM * 0.25];
    let near = [
        (x + 10.0, y + EM * 0.36),
        (x - 10.0 - wide, y + EM * 0.36),
        (x - wide / 2.0, y - 11.0),
        (x - wide / 2.0, y + 11.0 + EM * 0.75),
        (x + 8.0, y - 8.0),
        (x + 8.0, y + 8.0 + EM * 0.75),
        (x - 8.0 - wide, y - 8.0),
        (x - 8.0 - wide, y + 8.0 + EM * 0.75),
    ];
    let near = near.into_iter().map(|corner| Spot { corner, bounds: bounds(corner), leader: None });
    let far = LEADERS.into_iter().flat_map(|radius| (0..DIRECTIONS).map(move |turn| (radius, turn)));
    let far = far.map(|(radius, turn)| {
        let (sine, cosine) = (std::f64::consts::TAU * turn as f64 / DIRECTIONS as f64).sin_cos();
        let (middle, base) = (x + cosine * (radius + wide / 2.0), y + sine * (radius + EM / 2.0) + EM * 0.28);
        let corner = (middle - wide / 2.0, base);
        let [left, top, right, bottom] = bounds(corner);
        let end = (x.clamp(left, right), y.clamp(top, bottom));
        let start = RIM / (end.0 - x).hypot(end.1 - y).max(RIM);
        let leader = [(x + start * (end.0 - x), y + start * (end.1 - y)), end];
        Spot { corner, bounds: bounds(corner), leader: Some(leader) }
    });
    near.chain(far).collect()
}

/// A leader as small boxes.
fn along(&[(x, y), (u, v)]: &[Point; 2]) -> Vec<Bounds> {
    let steps = ((u - x).hypot(v - y) / 3.0).ceil().max(1.0) as usize;
    let at = |step: usize| (x + (u - x) * step as f64 / steps as f64, y + (v - y) * step as f64 / steps as f64);
    (0..=steps).map(at).map(|(x, y)| [x - 1.0, y - 1.0, x + 1.0, y + 1.0]).collect()
}

impl Taken {
    /// How much a spot for the label of point `at` covers of what is there, in square pixels; what lies outside the frame counts double.
    fn covered(&self, frame: &Frame, at: usize, spot: &Spot) -> f64 {
        let all = self.marks.iter().chain(&self.labels).chain(&self.lines);
        let mut covered: f64 = all.map(|other| common(&spot.bounds, other)).sum();
        let ((left, top), (width, height)) = (frame.corner, frame.size);
        let own = common(&spot.bounds, &spot.bounds);
        covered += 2.0 * (own - common(&spot.bounds, &[left, top, left + width, top + height])).max(0.0);
        for piece in spot.leader.iter().flat_map(along) {
            let others = self.marks.iter().enumerate().filter(|(mark, _)| *mark != at).map(|(_, mark)| mark);
            covered += others.chain(&self.labels).map(|other| common(&piece, other)).sum::<f64>();
        }
        covered
    }
}

/// Square pixels that two boxes share.
fn common([a, b, c, d]: &Bounds, [e, f, g, h]: &Bounds) -> f64 {
    (c.min(*g) - a.max(*e)).max(0.0) * (d.min(*h) - b.max(*f)).max(0.0)
}
