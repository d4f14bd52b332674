use std::fmt;

/// What happened, in order, without keys, names and times: the same for each run of a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    lines: Vec<String>,
    echo: bool,
    /// Milliseconds, for who reads along.
    time: u64,
}

impl Journal {
    /// Prints each line as it is written.
    pub fn echo(&mut self) {
        self.echo = true;
    }

    /// Time has passed.
    pub(crate) fn set_time(&mut self, millis: u64) {
        self.time = millis;
    }

    /// Writes a line.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        self.remark(line);
        self.lines.push(line.to_string());
    }

    /// Tells who reads along.
    pub(crate) fn remark(&self, line: fmt::Arguments<'_>) {
        if self.echo {
            let (seconds, millis) = (self.time / 1_000, self.time % 1_000);
            eprintln!("-- {seconds:3}.{millis:03} {line}");
        }
    }

    /// All lines so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
