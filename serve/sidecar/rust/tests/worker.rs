//! Against a worker. Its command is in DEPTH_SIDECAR_COMMAND, words apart by line feeds; it makes
//! stubs. The image of DEPTH_SIDECAR_IMAGE has 20 x 12 px. Without them nothing is tested.

use depth_sidecar::{Client, Error, Image, Kind, Options};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn given() -> Option<(Vec<String>, PathBuf)> {
    let command = std::env::var("DEPTH_SIDECAR_COMMAND").ok()?;
    let image = std::env::var("DEPTH_SIDECAR_IMAGE").ok()?;
    Some((command.split('\n').map(String::from).collect(), image.into()))
}

fn signal(name: &str, pid: u32) {
    let pid = pid.to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn every_image_gives_the_stub() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let pixels = vec![0; 12 * 20 * 3];
    for shared in [false, true] {
        for near1 in [false, true] {
            let options = Options { shared, near1, ..Options::default() };
            for image in [Image::Bytes(&bytes), Image::Path(&path), Image::Pixels(12, 20, &pixels)]
            {
                let depth = client.depth(image, &options).unwrap();
                assert_eq!((depth.height, depth.width, depth.stub), (12, 20, true));
                assert_eq!(depth.range(), (0.0, 1.0));
                assert_eq!(depth.kind, if near1 { Kind::Near1 } else { Kind::RelativeInverse });
            }
        }
    }
}

#[test]
fn a_bad_image_is_an_error_and_the_next_is_answered() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    let error = client.depth(Image::Bytes(b"no image"), &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::Refused { kind, retry: false, .. } if kind == "ImageError"));
    assert!(client.depth(Image::Path(&path), &Options::default()).is_ok());
}

#[test]
fn a_killed_worker_is_replaced_and_leaves_no_zombie() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    let before = client.pid().unwrap();
    signal("-STOP", before);
    let killing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200)); // the image is on its way then
        signal("-KILL", before);
    });
    assert!(client.depth(Image::Path(&path), &Options::default()).is_ok());
    killing.join().unwrap();
    let after = client.pid().unwrap();
    assert_ne!(before, after);
    assert!(!PathBuf::from(format!("/proc/{before}")).exists());
    drop(client);
    assert!(!PathBuf::from(format!("/proc/{after}")).exists());
}

#[test]
fn a_worker_that_hangs_is_given_up() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    client.silence = Duration::from_millis(500);
    let before = client.pid().unwrap();
    signal("-STOP", before);
    assert!(client.depth(Image::Path(&path), &Options::default()).is_ok());
    assert_ne!(before, client.pid().unwrap());
}

#[test]
fn waiting_ends_and_a_late_answer_is_of_no_other_image() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    let pid = client.pid().unwrap();
    signal("-STOP", pid);
    let options = Options { timeout: Duration::from_millis(300), ..Options::default() };
    let begun = Instant::now();
    let error = client.depth(Image::Path(&path), &options).unwrap_err();
    assert!(matches!(&error, Error::Refused { kind, .. } if kind == "WaitedTooLong"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    signal("-CONT", pid);
    let large = vec![0; 30 * 40 * 3];
    let depth = client.depth(Image::Pixels(30, 40, &large), &Options::default()).unwrap();
    assert_eq!((depth.height, depth.width), (30, 40));
    assert_eq!(client.pid(), Some(pid));
}

#[test]
fn another_thread_cancels() {
    let Some((command, path)) = given() else { return };
    let mut client = Client::start(&command).unwrap();
    let pid = client.pid().unwrap();
    signal("-STOP", pid);
    let canceller = client.canceller();
    let cancelling = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        canceller.cancel();
        thread::sleep(Duration::from_millis(200));
        signal("-CONT", pid);
    });
    match client.depth(Image::Path(&path), &Options::default()) {
        Err(Error::Refused { kind, .. }) => assert_eq!(kind, "CancelledError"),
        other => assert!(other.is_ok(), "{other:?}"), // the stub was quicker
    }
    cancelling.join().unwrap();
    assert!(client.depth(Image::Path(&path), &Options::default()).is_ok());
}

#[test]
fn what_is_no_worker_is_an_error() {
    let none: [&str; 0] = [];
    assert!(matches!(Client::start(&none), Err(Error::Lost(_))));
    assert!(matches!(Client::start(&["/nowhere"]), Err(Error::Lost(_))));
    assert!(matches!(Client::start(&["false"]), Err(Error::Lost(_))));
    let error = Client::start(&["echo", "this is no worker at all"]).err().unwrap();
    assert!(error.to_string().contains("expected \"DSC1\""), "{error}");
    assert!(matches!(Client::connect("/nowhere/socket"), Err(Error::Lost(_))));
}

#[test]
fn a_worker_at_a_socket_answers_and_stays() {
    let Some((command, path)) = given() else { return };
    let folder = std::env::temp_dir().join(format!("depth-rust-{}", std::process::id()));
    let socket = folder.join("s");
    let words: Vec<_> = command[1..].iter().filter(|word| *word != "--worker").collect();
    let mut worker = Command::new(&command[0])
        .args(words)
        .arg("--socket")
        .arg(&socket)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let due = Instant::now() + Duration::from_secs(30);
    while !socket.exists() && Instant::now() < due {
        thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..2 {
        let mut client = Client::connect(&socket).unwrap();
        assert!(client.depth(Image::Path(&path), &Options::default()).is_ok());
    }
    signal("-TERM", worker.id());
    assert!(worker.wait().unwrap().success());
    std::fs::remove_dir_all(folder).unwrap();
}
