//! One image at a time through a worker, which is started again if it is lost.

use crate::json::{object, Value};
use crate::worker::{Source, Worker};
use crate::{Depth, Error};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TIMES: usize = 2; // that an image is sent at most
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An image.
#[derive(Clone, Copy)]
pub enum Image<'a> {
    /// The bytes of a file.
    Bytes(&'a [u8]),
    /// An absolute path that the worker can read.
    Path(&'a Path),
    /// Height, width, and RGB pixels row by row.
    Pixels(usize, usize, &'a [u8]),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values from 0 to 1, the nearest 1, instead of what the model gives.
    pub near1: bool,
    /// Through shared memory instead of the stream.
    pub shared: bool,
    /// Of the camera, for models of metres.
    pub focal_px: Option<f64>,
    /// From the call to the answer; then the image is cancelled.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { near1: false, shared: false, focal_px: None, timeout: Duration::from_secs(300) }
    }
}

/// Cancels the image that a client waits for. Safe in any thread.
#[derive(Clone)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A worker, and how to have another one.
pub struct Client {
    source: Source,
    worker: Option<Worker>,
    count: u64,
    cancelled: Arc<AtomicBool>,
    /// Time for a worker to say hello: it loads its model before.
    pub start: Duration,
    /// A worker that sends nothing for so long while it owes an answer is given up.
    pub silence: Duration,
}

impl Client {
    /// Start a worker: a program and its arguments, of which the last is `--worker`.
    pub fn start<S: AsRef<str>>(command: &[S]) -> Result<Client, Error> {
        let words = command.iter().map(|word| word.as_ref().to_string()).collect();
        Client::open(Source::Command(words))
    }

    /// Use a worker that listens at a Unix socket.
    pub fn connect<P: AsRef<Path>>(socket: P) -> Result<Client, Error> {
        Client::open(Source::Socket(PathBuf::from(socket.as_ref())))
    }

    fn open(source: Source) -> Result<Client, Error> {
        let start = Duration::from_secs(300);
        let silence = Duration::from_secs(60);
        let worker = Some(Worker::open(&source, start)?);
        let cancelled = Arc::default();
        Ok(Client { source, worker, count: 0, cancelled, start, silence })
    }

    /// The worker's process.
    pub fn pid(&self) -> Option<u32> {
        self.worker.as_ref()?.hello.get("pid").number().map(|pid| pid as u32)
    }

    /// For another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.cancelled.clone())
    }

    /// The depth of an image. If the worker is lost, it goes to another worker once more.
    pub fn depth(&mut self, image: Image<'_>, options: &Options) -> Result<Depth, Error> {
        self.cancelled.store(false, Ordering::SeqCst);
        let due = Instant::now() + options.timeout;
        let mut reason = String::new();
        for _ in 0..TIMES {
            self.have_worker(due)?;
            match self.attempt(image, options, due) {
                Err(Error::Lost(why)) | Err(Error::Protocol(why)) => {
                    reason = why;
                    self.worker = None; // its process is ended and collected
                }
                answer => return answer,
            }
        }
        Err(Error::Lost(format!("{reason}; the image was sent {TIMES} times")))
    }

    /// Start a worker unless there is one; wait for others to start it behind a socket.
    fn have_worker(&mut self, due: Instant) -> Result<(), Error> {
        while self.worker.is_none() {
            match Worker::open(&self.source, self.start) {
                Ok(worker) => self.worker = Some(worker),
                Err(error) if self.source.is_command() || Instant::now() >= due => {
                    return Err(error)
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
        Ok(())
    }

    fn attempt(
        &mut self,
        image: Image<'_>,
        options: &Options,
        due: Instant,
    ) -> Result<Depth, Error> {
        self.count += 1;
        let name = format!("{}", self.count);
        let (header, payload) = request(&name, image, options);
        let worker = self.worker.as_mut().ok_or_else(|| Error::Lost("no worker".into()))?;
        worker.send(header, payload)?;
        let mut heard = Instant::now();
        loop {
            if self.cancelled.swap(false, Ordering::SeqCst) {
                worker.send(
                    object([("type", "cancel".into()), ("id", (&name[..]).into())]),
                    vec![],
                )?;
            }
            if Instant::now() >= due {
                worker.send(
                    object([("type", "cancel".into()), ("id", (&name[..]).into())]),
                    vec![],
                )?;
                return Err(Error::Refused {
                    kind: "WaitedTooLong".into(),
                    message: format!("no answer in {:?}", options.timeout),
                    retry: true,
                });
            }
            let Some(frame) = worker.next(LOOK_EVERY)? else {
                if heard.elapsed() > self.silence {
                    worker.abandon();
                    return Err(Error::Lost(format!("nothing came for {:?}", self.silence)));
                }
                continue;
            };
            heard = Instant::now();
            let ours = frame.header.get("id").text() == name;
            match frame.header.get("type").text() {
                "result" if ours => return depth_of(&frame.header, &frame.payload),
                "result" => drop(depth_of(&frame.header, &frame.payload)), // of a cancelled image
                "error" if ours => return Err(refused(&frame.header)),
                _ => {}
            }
        }
    }
}

fn request(name: &str, image: Image<'_>, options: &Options) -> (Value, Vec<u8>) {
    let values = if options.near1 { "near1" } else { "native" };
    let format = if options.shared { "shm" } else { "raw" };
    let header = object([
        ("type", "depth".into()),
        ("id", name.into()),
        ("values", values.into()),
        ("format", format.into()),
    ]);
    let Value::Object(mut fields) = header else { unreachable!("an object") };
    if let Some(focal_px) = options.focal_px {
        fields.insert("focal_px".into(), focal_px.into());
    }
    let payload = match image {
        Image::Bytes(bytes) => bytes.to_vec(),
        Image::Path(path) => {
            fields.insert("path".into(), (&*path.to_string_lossy()).into());
            Vec::new()
        }
        Image::Pixels(height, width, pixels) => {
            let size = [("height", (height as f64).into()), ("width", (width as f64).into())];
            fields.insert("pixels".into(), object(size));
            pixels.to_vec()
        }
    };
    (Value::Object(fields), payload)
}

/// The depth in an answer. A file in shared memory is read and removed.
fn depth_of(header: &Value, payload: &[u8]) -> Result<Depth, Error> {
    if header.get("format").text() != "shm" {
        return Depth::from_raw(payload);
    }
    let path = Path::new(header.get("shm").get("path").text());
    let data = std::fs::read(path);
    std::fs::remove_file(path)?;
    Depth::from_raw(&data?)
}

fn refused(header: &Value) -> Error {
    Error::Refused {
        kind: header.get("kind").text().into(),
        message: header.get("message").text().into(),
        retry: header.get("retry").is_true(),
    }
}
