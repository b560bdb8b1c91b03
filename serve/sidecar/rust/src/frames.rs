//! Frames: a prefix of 16 bytes, a JSON header, a payload. Numbers are little-endian.

use crate::json::{self, Value};
use crate::Error;
use std::io::{ErrorKind, Read, Write};

pub const MAGIC: &[u8; 4] = b"DSC1";
pub const MAX_HEADER_BYTES: u32 = 65_536;
pub const MAX_REPLY_BYTES: u64 = 1_200_000_000;

/// One frame.
#[derive(Debug, PartialEq)]
pub struct Frame {
    pub header: Value,
    pub payload: Vec<u8>,
}

/// Write one frame.
pub fn write(out: &mut dyn Write, header: &Value, payload: &[u8]) -> Result<(), Error> {
    let text = header.to_string();
    let mut head = Vec::with_capacity(16 + text.len());
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&(text.len() as u32).to_le_bytes());
    head.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    head.extend_from_slice(text.as_bytes());
    out.write_all(&head)?;
    out.write_all(payload)?;
    out.flush()?;
    Ok(())
}

/// Read one frame; `None` where the stream ends between frames.
///
/// A size over a limit is refused before memory is taken.
pub fn read(input: &mut dyn Read) -> Result<Option<Frame>, Error> {
    let mut prefix = [0u8; 16];
    let mut done = 0;
    while done < prefix.len() {
        match input.read(&mut prefix[done..]) {
            Ok(0) if done == 0 => return Ok(None),
            Ok(0) => return Err(Error::Protocol("the stream ended inside a frame".into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if &prefix[..4] != MAGIC {
        let found = String::from_utf8_lossy(&prefix[..4]).into_owned();
        return Err(Error::Protocol(format!("it begins with {found:?}, expected \"DSC1\"")));
    }
    let header_bytes = u32::from_le_bytes(prefix[4..8].try_into().expect("four bytes"));
    let payload_bytes = u64::from_le_bytes(prefix[8..].try_into().expect("eight bytes"));
    if header_bytes > MAX_HEADER_BYTES || payload_bytes > MAX_REPLY_BYTES {
        let sizes = format!("{header_bytes} and {payload_bytes} bytes");
        return Err(Error::Protocol(format!("a header and a payload of {sizes}: over the limit")));
    }
    let text = exact(input, header_bytes as u64)?;
    let header = std::str::from_utf8(&text)
        .ok()
        .and_then(json::parse)
        .ok_or_else(|| Error::Protocol("its header is not JSON".into()))?;
    Ok(Some(Frame { header, payload: exact(input, payload_bytes)? }))
}

/// So many bytes. Memory grows with what arrives, not with what was announced.
fn exact(input: &mut dyn Read, size: u64) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    input.take(size).read_to_end(&mut data)?;
    if (data.len() as u64) < size {
        return Err(Error::Protocol("the stream ended inside a frame".into()));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &str, payload: &[u8]) -> Vec<u8> {
        let mut out = b"DSC1".to_vec();
        out.extend_from_slice(&(header.len() as u32).to_le_bytes());
        out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let header = json::object([("type", "ping".into()), ("id", "ä\"\\\n".into())]);
        let mut out = Vec::new();
        write(&mut out, &header, b"abc").unwrap();
        let mut input = &out[..];
        let frame = read(&mut input).unwrap().unwrap();
        assert_eq!(frame, Frame { header, payload: b"abc".to_vec() });
        assert_eq!(read(&mut input).unwrap(), None);
    }

    #[test]
    fn other_bytes_and_cut_frames_are_refused() {
        let whole = bytes("{}", b"abc");
        for size in 1..whole.len() {
            assert!(matches!(read(&mut &whole[..size]), Err(Error::Protocol(_))), "{size}");
        }
        for data in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0u8; 16], &bytes("{", b"")[..]] {
            assert!(matches!(read(&mut &data[..]), Err(Error::Protocol(_))));
        }
    }

    #[test]
    fn sizes_over_the_limit_take_no_memory() {
        for (header, payload) in [(u32::MAX, 0u64), (2, u64::MAX), (2, MAX_REPLY_BYTES + 1)] {
            let mut data = b"DSC1".to_vec();
            data.extend_from_slice(&header.to_le_bytes());
            data.extend_from_slice(&payload.to_le_bytes());
            data.extend_from_slice(b"{}");
            let error = read(&mut &data[..]).unwrap_err();
            assert!(error.to_string().contains("over the limit"), "{error}");
        }
    }
}
