//! Prints size, smallest and largest value of the depth of images.
//!
//!     depth-sidecar a.jpg b.jpg -- python -m serve sidecar artifacts/NAME --worker
//!     depth-sidecar a.jpg --socket /run/user/1000/depth/socket

use depth_sidecar::{Client, Error, Image, Options};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: depth-sidecar IMAGE... (-- COMMAND... | --socket PATH)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let split = words.iter().position(|word| word == "--" || word == "--socket");
    let (images, how) = words.split_at(split.unwrap_or(words.len()));
    if images.is_empty() || how.len() < 2 {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(images, how) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("depth-sidecar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many images failed.
fn run(images: &[String], how: &[String]) -> Result<usize, Error> {
    let mut client =
        if how[0] == "--" { Client::start(&how[1..])? } else { Client::connect(&how[1])? };
    let options = Options { shared: true, ..Options::default() };
    let mut failed = 0;
    for image in images {
        let path = Path::new(image).canonicalize().unwrap_or_else(|_| image.into());
        match client.depth(Image::Path(&path), &options) {
            Ok(depth) => {
                let (low, high) = depth.range();
                let stub = if depth.stub { " stub" } else { "" };
                let (height, width) = (depth.height, depth.width);
                println!("{image}: {width} x {height} {:?} {low} to {high}{stub}", depth.kind);
            }
            Err(error) => {
                failed += 1;
                eprintln!("{image}: {error}");
            }
        }
    }
    Ok(failed)
}
