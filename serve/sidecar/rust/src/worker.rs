//! The worker of a client: a process that the client starts, or one behind a Unix socket.

use crate::frames::{self, Frame};
use crate::json::Value;
use crate::Error;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

const ENDING: Duration = Duration::from_secs(10); // for a process whose stdin has ended

/// How a worker is had.
pub enum Source {
    Command(Vec<String>),
    Socket(PathBuf),
}

impl Source {
    pub fn is_command(&self) -> bool {
        matches!(self, Source::Command(_))
    }
}

/// A worker that has said hello. Dropping it ends and collects its process.
pub struct Worker {
    child: Option<Child>,
    socket: Option<UnixStream>,
    out: Option<Sender<(Value, Vec<u8>)>>,
    frames: Receiver<Result<Frame, Error>>,
    pub hello: Value,
}

impl Worker {
    /// Start or reach a worker, and wait for its hello.
    pub fn open(source: &Source, start: Duration) -> Result<Worker, Error> {
        let mut worker = match source {
            Source::Command(words) => Worker::started(words)?,
            Source::Socket(path) => {
                let socket = UnixStream::connect(path)?;
                let (input, output) = (socket.try_clone()?, socket.try_clone()?);
                let mut worker = Worker::over(Box::new(input), Box::new(output));
                worker.socket = Some(socket);
                worker
            }
        };
        match worker.next(start)? {
            Some(frame) if frame.header.get("type").text() == "hello" => {
                worker.hello = frame.header;
                Ok(worker)
            }
            Some(frame) => Err(Error::Lost(frame.header.get("message").text().into())),
            None => {
                worker.abandon();
                Err(Error::Lost(format!("no hello in {start:?}")))
            }
        }
    }

    fn started(words: &[String]) -> Result<Worker, Error> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| Error::Lost("an empty command".into()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdout.take().ok_or_else(|| Error::Lost("no stdout".into()))?;
        let output = child.stdin.take().ok_or_else(|| Error::Lost("no stdin".into()))?;
        let mut worker = Worker::over(Box::new(input), Box::new(output));
        worker.child = Some(child);
        Ok(worker)
    }

    /// A thread reads, and another writes, so that a worker that hangs blocks nobody.
    fn over(mut input: Box<dyn Read + Send>, mut output: Box<dyn Write + Send>) -> Worker {
        let (found, frames) = channel();
        thread::spawn(move || loop {
            let next = match frames::read(&mut *input) {
                Ok(Some(frame)) => Ok(frame),
                Ok(None) => Err(Error::Lost("the worker ended".into())),
                Err(error) => Err(error),
            };
            let last = next.is_err();
            if found.send(next).is_err() || last {
                break;
            }
        });
        let (out, waiting) = channel::<(Value, Vec<u8>)>();
        thread::spawn(move || {
            while let Ok((header, payload)) = waiting.recv() {
                if frames::write(&mut *output, &header, &payload).is_err() {
                    break; // the thread that reads sees the end
                }
            }
        });
        Worker { child: None, socket: None, out: Some(out), frames, hello: Value::Null }
    }

    pub fn send(&self, header: Value, payload: Vec<u8>) -> Result<(), Error> {
        let gone = || Error::Lost("the worker takes no more".into());
        self.out.as_ref().ok_or_else(gone)?.send((header, payload)).map_err(|_| gone())
    }

    /// The next frame; `None` if none came in time.
    pub fn next(&self, wait: Duration) -> Result<Option<Frame>, Error> {
        match self.frames.recv_timeout(wait) {
            Ok(frame) => frame.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Lost("the worker ended".into())),
        }
    }

    /// End a process that hangs.
    pub fn abandon(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.out = None; // the thread that writes ends, and closes the process's stdin
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let Some(child) = &mut self.child else { return };
        let due = Instant::now() + ENDING;
        while Instant::now() < due {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
