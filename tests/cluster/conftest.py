"""A real Slurm of one node on this machine, for as long as the tests last.

Ports, keys, sockets and state are its own: several such clusters, of several runs of the tests, may
stand on one machine, and none touches a Slurm that is installed there.
"""

import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEEDED = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel")

CONF = """\
ClusterName=prunebench
SlurmctldHost={host}(127.0.0.1)
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
"""


@dataclass
class Cluster:
    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen([name, "-D"], stdout=log, stderr=log)

    def stop(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        daemon.terminate()
        daemon.wait(timeout=60)

    def restart_controller(self) -> None:
        self.stop("slurmctld")
        self.start("slurmctld")
        self.wait_until_up()

    def wait_until_up(self) -> None:
        for _ in range(120):
            said = subprocess.run(["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True)
            if said.returncode == 0 and said.stdout.strip() in ("idle", "mix", "alloc"):
                return
            time.sleep(0.5)
        logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
        raise AssertionError(f"Slurm did not come up: {said.stdout} {said.stderr}\n{logs}")

    def jobs(self) -> list[str]:
        said = subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%i %t"], capture_output=True, text=True, check=True
        )
        return said.stdout.splitlines()

    def wait_for_one_at_work(self) -> str:
        for _ in range(600):
            if at_work := [line.split()[0] for line in self.jobs() if line.endswith(" R")]:
                return at_work[0]
            time.sleep(0.2)
        raise AssertionError("no job began to run")

    def wait_until_empty(self, seconds: float = 540) -> None:
        end = time.monotonic() + seconds
        while self.jobs():
            assert time.monotonic() < end, f"still there: {self.jobs()}"
            time.sleep(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"no Slurm here ({', '.join(missing)}); `apt-get install slurm-wlm munge`")
    if os.geteuid():
        pytest.skip("a Slurm of one's own needs root")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    munge = _munge(folder)
    conf = folder / "slurm.conf"
    host = platform.node().partition(".")[0]
    conf.write_text(CONF.format(host=host, cpus=os.cpu_count(), folder=folder, ports=_free_ports(2)))
    os.environ["SLURM_CONF"] = str(conf)
    found = Cluster(folder)
    try:
        found.start("slurmctld")
        found.start("slurmd")
        found.wait_until_up()
        yield found
    finally:
        subprocess.run(["scancel", "--user=root"], check=False)
        for name in list(found.daemons):
            found.stop(name)
        munge.terminate()
        munge.wait()
        del os.environ["SLURM_CONF"]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _munge(folder: Path) -> subprocess.Popen[bytes]:
    """The daemon that vouches for who asks, with a key made here."""
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
    return subprocess.Popen(["munged", "--foreground", "--force", *options])
