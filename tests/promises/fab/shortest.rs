//! The shortest way within the box to a plane, by going through the breakpoints in order, in double precision.

use gauntlet::threat::Norm;

/// A way, its length, and what is left of the wanted change where the box has no way to the plane.
pub struct Way {
    pub change: Vec<f64>,
    pub length: f64,
    pub left: f64,
}

/// The shortest change d of `x` with x + d in [0, 1] and `<w, d> = wanted`, or as near to it as the box allows.
pub fn shortest(x: &[f32], w: &[f32], wanted: f64, norm: Norm) -> Way {
    let sign = if wanted < 0.0 { -1.0 } else { 1.0 };
    let v: Vec<f64> = w.iter().map(|w| sign * f64::from(*w)).collect();
    let room: Vec<f64> = x.iter().zip(&v).map(|(x, v)| if *v > 0.0 { 1.0 - f64::from(*x) } else { f64::from(*x) }).collect();
    let mut left = wanted.abs();
    let mut order: Vec<usize> = (0..x.len()).filter(|&at| v[at] != 0.0).collect();
    // How much an element goes for each unit of the level, and the level at which it has gone all its room.
    let rate = |at: usize| if norm == Norm::Linf { 1.0 } else { v[at].abs() };
    let mut size = vec![0.0; x.len()];
    if norm == Norm::L1 {
        order.sort_by(|&a, &b| v[b].abs().total_cmp(&v[a].abs()));
        for at in order {
            size[at] = room[at].min(left / v[at].abs());
            left = (left - size[at] * v[at].abs()).max(0.0);
        }
    } else {
        order.sort_by(|&a, &b| (room[a] / rate(a)).total_cmp(&(room[b] / rate(b))));
        let mut level = 0.0;
        for (passed, &next) in order.iter().enumerate() {
            let slope: f64 = order[passed..].iter().map(|&at| v[at].abs() * rate(at)).sum();
            let end = room[next] / rate(next);
            if slope * (end - level) >= left {
                level += left / slope;
                left = 0.0;
                break;
            }
            left -= slope * (end - level);
            level = end;
        }
        for &at in &order {
            size[at] = room[at].min(level * rate(at));
        }
    }
    let change: Vec<f64> = size.iter().zip(&v).map(|(size, v)| size * v.signum() * f64::from(u8::from(*v != 0.0))).collect();
    Way { length: length(&change, norm), change, left }
}

/// The length of a change.
pub fn length(change: &[f64], norm: Norm) -> f64 {
    match norm {
        Norm::Linf => change.iter().fold(0.0, |largest, value| value.abs().max(largest)),
        Norm::L2 => change.iter().map(|value| value * value).sum::<f64>().sqrt(),
        _ => change.iter().map(|value| value.abs()).sum(),
    }
}
