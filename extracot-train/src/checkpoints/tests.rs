use super::*;

fn checkpoints(folder: &Path, keep_last: usize) -> Checkpoints {
    Checkpoints {
        folder: folder.join("states"),
        every: 2,
        keep_last,
    }
}

fn save(checkpoints: &Checkpoints, n_steps: usize) {
    let model = vec![n_steps as u8; 300];
    checkpoints
        .save(
            n_steps,
            &n_steps,
            &[("model.bpk", &model), ("optimizer.bpk", b"moments")],
        )
        .unwrap();
}

fn names(checkpoints: &Checkpoints) -> Vec<String> {
    let entries = fs::read_dir(&checkpoints.folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_last_states_are_kept_and_the_newest_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 2);
    assert_eq!(checkpoints.find().unwrap(), FoundStates::default());
    for n_steps in [2, 4, 6] {
        assert!(checkpoints.is_due(n_steps) && !checkpoints.is_due(n_steps + 1));
        save(&checkpoints, n_steps);
    }
    assert_eq!(names(&checkpoints), ["step-00000004", "step-00000006"]);
    let newest = checkpoints.find().unwrap().newest.unwrap();
    assert_eq!(newest.n_steps, 6);
    assert_eq!(newest.state::<usize>().unwrap(), 6);
    assert_eq!(newest.bytes("model.bpk").unwrap(), [6; 300]);
    checkpoints.remove().unwrap();
    assert_eq!(checkpoints.find().unwrap(), FoundStates::default());
}

#[test]
fn what_a_kill_within_a_save_left_is_no_state() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 2);
    save(&checkpoints, 2);
    let partial = checkpoints.folder.join(PARTIAL);
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("model.bpk.partial"), "half").unwrap();
    assert_eq!(checkpoints.find().unwrap().newest.unwrap().n_steps, 2);
    save(&checkpoints, 4);
    assert_eq!(names(&checkpoints), ["step-00000002", "step-00000004"]);
    assert_eq!(checkpoints.find().unwrap().newest.unwrap().n_steps, 4);
}

/// Every byte of every file, flipped, and every file cut or gone.
#[test]
fn a_damaged_state_gives_way_to_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 2);
    save(&checkpoints, 2);
    save(&checkpoints, 4);
    let newest = checkpoints.folder.join("step-00000004");
    for name in ["model.bpk", "optimizer.bpk", STATE, SUMS] {
        let path = newest.join(name);
        let whole = fs::read(&path).unwrap();
        let found = |what: &str| {
            let found = checkpoints.find().unwrap();
            assert_eq!(
                found.newest.map(|state| state.n_steps),
                Some(2),
                "{name} {what}"
            );
            assert_eq!(found.damaged.len(), 1, "{name} {what}");
            assert_eq!(found.damaged[0].folder, newest);
        };
        for idx in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[idx] ^= 1 << (idx % 8);
            fs::write(&path, flipped).unwrap();
            found(&format!("byte {idx}"));
        }
        for n_bytes in [0, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..n_bytes]).unwrap();
            found(&format!("cut at {n_bytes}"));
        }
        fs::remove_file(&path).unwrap();
        found("gone");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(checkpoints.find().unwrap().damaged, []);
}

#[test]
fn a_damaged_state_is_replaced_by_the_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 2);
    save(&checkpoints, 2);
    save(&checkpoints, 4);
    fs::write(checkpoints.folder.join("step-00000004/model.bpk"), "x").unwrap();
    checkpoints
        .remove_damaged(&checkpoints.find().unwrap())
        .unwrap();
    assert_eq!(names(&checkpoints), ["step-00000002"]);
    save(&checkpoints, 4);
    let found = checkpoints.find().unwrap();
    assert_eq!((found.newest.unwrap().n_steps, found.damaged.len()), (4, 0));
}

#[test]
fn a_run_without_a_whole_state_does_not_silently_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(folder.path(), 1);
    save(&checkpoints, 2);
    save(&checkpoints, 4);
    assert_eq!(names(&checkpoints), ["step-00000004"]);
    fs::write(checkpoints.folder.join("step-00000004/state.json"), "7").unwrap();
    let error = checkpoints.find().unwrap_err().to_string();
    assert!(
        error.contains("state.json is not what was written"),
        "{error}"
    );
    assert!(error.contains("to begin anew"), "{error}");
}

#[test]
fn settings_without_sense_are_refused_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |every, keep_last| {
        let checkpoints = Checkpoints {
            every,
            ..self::checkpoints(folder.path(), keep_last)
        };
        checkpoints.check().unwrap_err().to_string()
    };
    assert!(wrong(0, 2).contains("checkpoint_every"));
    assert!(wrong(2, 0).contains("keep_last"));
}
