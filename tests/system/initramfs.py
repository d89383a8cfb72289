"""An initramfs with more in it. Standard library only, and cpio."""

import subprocess


def with_files(initrd, root):
    """The archive, and behind it all that is below the folder: a kernel unpacks one archive after
    the other."""
    names = "".join(f"{one.relative_to(root)}\n" for one in sorted(root.rglob("*")))
    more = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], check=True, cwd=root,
                          input=names.encode(), capture_output=True).stdout
    padding = b"\0" * (-len(initrd) % 4)  # it looks for the next one at multiples of four
    return initrd + padding + more
