//! Edits of pickles, opcode by opcode.

use super::chance::{Chance, LONGEST, damage};

/// What follows an opcode.
#[derive(Clone, Copy)]
enum Operand {
    /// So many bytes.
    Fixed(usize),
    /// So many lines.
    Lines(usize),
    /// A length of so many bytes, and as much as it says.
    Sized(usize),
}

/// Every opcode of protocols 0 to 5 (Python's `pickletools`), and what follows it.
const OPCODES: &[(&[u8], Operand)] = &[
    (b"(.012)]}lteabdosuNRQ\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98", Operand::Fixed(0)),
    (b"Kqh\x80\x82", Operand::Fixed(1)),
    (b"M\x83", Operand::Fixed(2)),
    (b"Jjr\x84", Operand::Fixed(4)),
    (b"G\x95", Operand::Fixed(8)),
    (b"FILPSVgp", Operand::Lines(1)),
    (b"ci", Operand::Lines(2)),
    (b"UC\x8a\x8c", Operand::Sized(1)),
    (b"BTX\x8b", Operand::Sized(4)),
    (b"\x8d\x8e\x96", Operand::Sized(8)),
];

/// Names that checkpoints call, and some that only an attacker does.
const NAMES: &[&str] = &[
    "torch._utils\n_rebuild_tensor_v2\n",
    "torch._utils\n_rebuild_tensor_v3\n",
    "torch._utils\n_rebuild_parameter\n",
    "torch._tensor\n_rebuild_from_type_v2\n",
    "collections\nOrderedDict\n",
    "torch\nFloatStorage\n",
    "torch\nUntypedStorage\n",
    "torch\nfloat32\n",
    "copyreg\n_reconstructor\n",
    "builtins\neval\n",
    "os\nsystem\n",
    "a\nb\n",
];

/// An opcode with what follows it.
type Step = (u8, Vec<u8>);

/// `bytes` with its pickles edited, with parts of `other`; numbers behind a pickle stay as they are.
pub fn edited(chance: &mut Chance, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let ((mut steps, rest), (donors, _)) = (split(bytes), split(other));
    for _ in 0..chance.few() {
        let at = chance.below(steps.len());
        match chance.below(12) {
            0 | 1 => steps.insert(at, any(chance)),
            2 if !steps.is_empty() => drop(steps.remove(at)),
            3 if !steps.is_empty() => {
                let to = chance.below(steps.len());
                steps.swap(at, to);
            }
            4 => {
                let piece = steps[chance.range(steps.len())].to_vec();
                let times = if chance.one_in(20) { chance.below(200) } else { 1 };
                let room = LONGEST.saturating_sub(steps.len()) / 8;
                steps.splice(at..at, std::iter::repeat_n(piece, times).flatten().take(room));
            }
            5 => drop(steps.splice(at..at, donors[chance.range(donors.len())].to_vec())),
            6 => drop(steps.drain(chance.range(steps.len()))),
            7 if !steps.is_empty() => {
                let (codes, _) = chance.of(OPCODES);
                steps[at].0 = *chance.of(codes);
            }
            8 if !steps.is_empty() => steps[at] = any(chance),
            _ => {
                // Sizes, offsets and keys are short operands.
                let short: Vec<usize> =
                    (0..steps.len()).filter(|&at| matches!(steps[at].0, b'K' | b'M' | b'J' | 0x8a | b'X' | b'h' | b'q')).collect();
                if let Some(&at) = short.get(chance.below(short.len())) {
                    match steps[at].0 {
                        b'X' | b'h' | b'q' => damage(chance, &mut steps[at].1, &[]),
                        _ => steps[at] = (0x8a, [&[8], &chance.edge().to_le_bytes()[..]].concat()),
                    }
                }
            }
        }
    }
    let mut written: Vec<u8> = steps.into_iter().flat_map(|(code, operand)| [vec![code], operand].concat()).collect();
    written.extend(rest);
    written.truncate(LONGEST);
    written
}

/// An opcode out of the whole table, with an operand that it can have.
fn any(chance: &mut Chance) -> Step {
    // Most opcodes have no operand.
    let (codes, operand) = if chance.one_in(2) { OPCODES[0] } else { *chance.of(OPCODES) };
    let edge = chance.edge().to_le_bytes();
    let operand = match operand {
        Operand::Fixed(count) => edge[..count].to_vec(),
        Operand::Lines(1) => b"12\n".to_vec(),
        Operand::Lines(_) => chance.of(NAMES).as_bytes().to_vec(),
        Operand::Sized(count) if chance.one_in(4) => edge[..count].to_vec(),
        Operand::Sized(count) => [&4u64.to_le_bytes()[..count], b"name"].concat(),
    };
    (*chance.of(codes), operand)
}

/// The opcodes of the pickles that `bytes` opens with, five at most as in a stream, and what is behind them.
fn split(bytes: &[u8]) -> (Vec<Step>, &[u8]) {
    let (mut steps, mut rest, mut pickles) = (Vec::new(), bytes, 0);
    while let Some((code, operand, behind)) = step(rest) {
        steps.push((code, operand.to_vec()));
        rest = behind;
        pickles += usize::from(code == b'.');
        if pickles == 5 || (pickles > 0 && rest.first() != Some(&0x80)) {
            break;
        }
    }
    (steps, rest)
}

fn step(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (code, rest) = bytes.split_first()?;
    let (_, operand) = OPCODES.iter().find(|(codes, _)| codes.contains(code))?;
    let length = match *operand {
        Operand::Fixed(count) => count,
        Operand::Lines(count) => rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(count - 1)?.0 + 1,
        Operand::Sized(count) => {
            let size = rest.get(..count)?.iter().rev().fold(0usize, |size, &byte| size << 8 | usize::from(byte));
            size.checked_add(count)?
        }
    };
    let (operand, behind) = rest.split_at_checked(length)?;
    Some((*code, operand, behind))
}
