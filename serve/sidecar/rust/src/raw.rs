//! The raw form of a depth map: 32 bytes of header, then float32 row by row, little-endian.

use crate::Error;

pub const MAGIC: &[u8; 8] = b"DEPTHF32";
pub const HEADER_BYTES: usize = 32;
const MAX_PIXELS: u64 = 100_000_000;

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// 0 to 1, the nearest is 1.
    Near1,
    /// Larger is nearer, no unit.
    RelativeInverse,
    /// Larger is farther, no unit.
    RelativeDepth,
    /// Metres once multiplied by a focal length.
    FocalNormalised,
    Metres,
}

const KINDS: [Kind; 5] =
    [Kind::Near1, Kind::RelativeInverse, Kind::RelativeDepth, Kind::FocalNormalised, Kind::Metres];

/// A depth map.
#[derive(Debug, Clone, PartialEq)]
pub struct Depth {
    pub height: usize,
    pub width: usize,
    pub kind: Kind,
    /// A gradient and no depth: the worker was asked for a stub.
    pub stub: bool,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Depth {
    /// The depth map in the raw form. Fails for other bytes, and for another size of the data.
    pub fn from_raw(data: &[u8]) -> Result<Depth, Error> {
        let bad = |reason: &str| Error::Protocol(format!("raw depth: {reason}"));
        if data.len() < HEADER_BYTES || &data[..8] != MAGIC {
            return Err(bad("no header that begins with DEPTHF32"));
        }
        let four = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"));
        let (height, width) = (four(12), four(16));
        if u16::from_le_bytes([data[8], data[9]]) != 1 || data[11] > 1 {
            return Err(bad("another version than 1"));
        }
        let kind = *KINDS.get(data[10] as usize).ok_or_else(|| bad("unknown kind"))?;
        let pixels = height as u64 * width as u64;
        if pixels == 0 || pixels > MAX_PIXELS || data.len() as u64 != 32 + 4 * pixels {
            return Err(bad("its size is not that of its header"));
        }
        let values = data[HEADER_BYTES..]
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().expect("four bytes")))
            .collect();
        let stub = data[11] == 1;
        Ok(Depth { height: height as usize, width: width as usize, kind, stub, values })
    }

    /// The smallest and the largest value.
    pub fn range(&self) -> (f32, f32) {
        let ends = (f32::INFINITY, f32::NEG_INFINITY);
        self.values.iter().fold(ends, |(low, high), &value| (low.min(value), high.max(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        data.extend_from_slice(&[1, 0, 4, 1]);
        data.extend_from_slice(&1u32.to_le_bytes());
        data.extend_from_slice(&2u32.to_le_bytes());
        data.extend_from_slice(&[0; 12]);
        data.extend_from_slice(&0.5f32.to_le_bytes());
        data.extend_from_slice(&(-2.0f32).to_le_bytes());
        data
    }

    #[test]
    fn a_map_is_read() {
        let found = Depth::from_raw(&data()).unwrap();
        assert_eq!((found.height, found.width, found.kind, found.stub), (1, 2, Kind::Metres, true));
        assert_eq!(found.values, [0.5, -2.0]);
        assert_eq!(found.range(), (-2.0, 0.5));
    }

    #[test]
    fn damaged_maps_are_refused() {
        for (place, byte) in [(0, b'X'), (8, 2), (10, 5), (11, 2), (12, 9), (16, 0), (19, 255)] {
            let mut data = data();
            data[place] = byte;
            assert!(Depth::from_raw(&data).is_err(), "{place}");
        }
        for size in 0..data().len() {
            assert!(Depth::from_raw(&data()[..size]).is_err(), "{size}");
        }
    }
}
