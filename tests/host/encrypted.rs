//! Sources in a directory that fscrypt locks are not deleted.

use crate::support::{World, answer, newest};

/// Unlocks and encrypts a directory with fscrypt, or locks it again (`linux/fscrypt.h`): `unlock MOUNT DIRECTORY`, `lock MOUNT
/// IDENTIFIER`. The first prints the key's identifier.
const FSCRYPT: &str = r#"
import fcntl, os, struct, sys
ADD_KEY, REMOVE_KEY, SET_POLICY = 0xC0506617, 0xC0406618, 0x800C6613
mount = os.open(sys.argv[2], os.O_RDONLY)
if sys.argv[1] == "unlock":
    key = bytes(range(64))
    request = bytearray(struct.pack("<II32sII32x", 2, 0, b"", len(key), 0) + key)
    fcntl.ioctl(mount, ADD_KEY, request)
    identifier = bytes(request[8:24])
    # Version 2, AES-256-XTS for contents and AES-256-CTS for names.
    policy = bytearray(struct.pack("<BBBB4x16s", 2, 1, 4, 2, identifier))
    fcntl.ioctl(os.open(sys.argv[3], os.O_RDONLY), SET_POLICY, policy)
    print(identifier.hex())
else:
    os.sync()
    request = bytearray(struct.pack("<II32sI20x", 2, 0, bytes.fromhex(sys.argv[3]), 0))
    fcntl.ioctl(mount, REMOVE_KEY, request)
    assert struct.unpack_from("<I", request, 40) == (0,), "files are in use"
"#;

#[test]
#[ignore = "needs root, mkfs.ext4 and a kernel with fscrypt"]
fn what_is_in_a_locked_directory_is_kept() {
    let world = World::new();
    world.write("disk/keep", "");
    let script = format!(
        "
        truncate -s 64M \"$HOME/image\"
        mkfs.ext4 -q -O encrypt \"$HOME/image\"
        mount -o loop \"$HOME/image\" \"$HOME/disk\"
        mkdir \"$HOME/disk/vault\"
        key=$('{python}' -c '{FSCRYPT}' unlock \"$HOME/disk\" \"$HOME/disk/vault\")
        mkdir \"$HOME/disk/vault/project\"
        echo x=1 > \"$HOME/disk/vault/project/m.py\"
        PYTHONPYCACHEPREFIX=\"$STORE\" '{python}' -m py_compile \"$HOME/disk/vault/project/m.py\"
        # Later than the entry: by its time alone a deletion would be possible.
        sleep 0.1
        mkdir \"$HOME/disk/vault/another\"
        pycstore ls --under \"$HOME/disk\"
        '{python}' -c '{FSCRYPT}' lock \"$HOME/disk\" \"$key\"
        pycstore ls --under \"$HOME/disk\"
        pycstore prune --orphans
        ",
        python = newest().path.display()
    );
    let told = answer(&mut world.in_namespace("", &script)).exits(0).stdout;
    let lines: Vec<&str> = told.lines().collect();
    let [unlocked, locked, pruned] = lines[..] else { panic!("{told}") };
    assert!(unlocked.starts_with("fresh "), "{told}");
    assert!(locked.starts_with("unknown    unmounted"), "{told}");
    assert_eq!(pruned, "nothing to remove");
}
