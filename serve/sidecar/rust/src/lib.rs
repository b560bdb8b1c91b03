//! A client of the depth sidecar's worker. The standard library only.
//!
//! ```no_run
//! use depth_sidecar::{Client, Image, Options};
//! let command = ["python", "-m", "serve", "sidecar", "artifacts/NAME", "--worker"];
//! let mut client = Client::start(&command)?;
//! let depth = client.depth(Image::Path("/photos/a.jpg".as_ref()), &Options::default())?;
//! println!("{} x {}", depth.height, depth.width);
//! # Ok::<(), depth_sidecar::Error>(())
//! ```

pub mod client;
pub mod frames;
pub mod json;
pub mod raw;
mod worker;

pub use client::{Canceller, Client, Image, Options};
pub use raw::{Depth, Kind};

use std::fmt;

/// Why there is no depth.
#[derive(Debug)]
pub enum Error {
    /// The worker refused or failed an image. `retry`: it may work later.
    Refused { kind: String, message: String, retry: bool },
    /// The worker is gone or was never there, also when the image was sent to a second worker.
    Lost(String),
    /// The bytes are no frames of the worker's.
    Protocol(String),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused { kind, message, .. } => write!(out, "{kind}: {message}"),
            Error::Lost(reason) => write!(out, "the worker is lost: {reason}"),
            Error::Protocol(reason) => write!(out, "not a frame of the worker: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Lost(error.to_string())
    }
}
