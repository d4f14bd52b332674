use std::fmt;

/// What happened, in order, without keys, names and times: the same for each run of a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    lines: Vec<String>,
    echo: bool,
}

impl Journal {
    /// Prints each line as it is written.
    pub fn echo(&mut self) {
        self.echo = true;
    }

    /// Writes a line.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        if self.echo {
            eprintln!("-- {line}");
        }
        self.lines.push(line);
    }

    /// All lines so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
