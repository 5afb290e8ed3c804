//! What the program gives to shells and to man.

use std::{fs, process::Command};

const COMMANDS: [&str; 13] = [
    "run",
    "demo",
    "validate",
    "symbols",
    "decode",
    "simulate",
    "recover",
    "compact",
    "verify",
    "gaps",
    "top",
    "completions",
    "man",
];

fn output(args: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_spread-aggregator")).args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
        assert!(script.contains("log-format"), "{shell}");
    }
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let page = output(&["man"]);
    assert!(page.starts_with(".ie"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(output(&["man", dir.path().to_str().unwrap()]), "");
    for command in COMMANDS {
        assert!(page.contains(&format!("spread\\-aggregator\\-{command}(1)")), "{command}: {page}");
        let file = dir.path().join(format!("spread-aggregator-{command}.1"));
        assert!(fs::read_to_string(&file).unwrap().contains(".SH SYNOPSIS"), "{command}");
    }
}
