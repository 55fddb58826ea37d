//! Zip archives, taken apart and put together so that what is changed inside stays readable (APPNOTE 4.3).

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use zip::ZipArchive;

use super::chance::Chance;

/// An entry's name and content.
pub type Entry = (String, Vec<u8>);

/// The entries of a sound archive.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("a sound archive");
    let count = zip.len();
    let entry = |at| {
        let mut entry = zip.by_index(at).expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        (entry.name().expect("its name").into_owned(), content)
    };
    (0..count).map(entry).collect()
}

/// An archive of these entries with right checksums; now and then a size, offset or method lies.
pub fn written(chance: &mut Chance, entries: &[Entry]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let lies = chance.one_in(4);
    let packed = chance.one_in(2);
    for (name, content) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let body = if packed { deflated(content) } else { content.clone() };
        let mut lie = |truth: u32| if lies && chance.one_in(12) { chance.edge() as u32 } else { truth };
        let method = lie(if packed { 8 } else { 0 }) as u16;
        let mut common = [&[20, 0, 0, 0][..], &method.to_le_bytes(), &[0, 0, 0x21, 0]].concat();
        common.extend(lie(crc.sum()).to_le_bytes());
        common.extend(lie(body.len() as u32).to_le_bytes());
        common.extend(lie(content.len() as u32).to_le_bytes());
        common.extend((lie(name.len() as u32) as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(lie(file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(body);
    }
    let mut lie = |truth: u32| if lies && chance.one_in(12) { chance.edge() as u32 } else { truth };
    let count = (lie(entries.len() as u32) as u16).to_le_bytes();
    let (size, start) = (lie(directory.len() as u32).to_le_bytes(), lie(file.len() as u32).to_le_bytes());
    file.extend(directory);
    file.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start, &[0, 0]].concat());
    file
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// A gzip file.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}
