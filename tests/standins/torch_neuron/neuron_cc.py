"""A stand-in for neuron-cc, run as a process of its own: copies its input and leaves its reports.

The folder in the environment variable NEURON_STANDIN decides what happens. Its file `behaviours`
holds one word for each call, in order; after the last one every call is `ok`. Each call adds its
arguments as a line to the file `calls`. The words:

ok      the sub-graph is compiled
spills  the same, with the compiler's remark that it had to give up optimisations
error   an internal compiler error, as neuron-cc words it
kill    ended by signal 9, as the kernel does when memory is short
abort   ended by SIGABRT
slow    takes a minute
grow    a child process of it takes 300 MB and then a minute
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_METRICS = """timestamp,run_id,name,subgraph,scope,sub_scope,value,unit,
,0,gelu,sg00,Tensorizer,RecognizeOpIdiom,4,Count
,0,ddr_transfer,sg00,Tensorizer,StaticProfiler,619188008,Bytes
,0,matmul,sg00,Tensorizer,StaticProfiler,4261799321600,Count
,0,average_pe_utilization,sg00,Tensorizer,StaticProfiler,77.05696253436916,Percent
,0,average_pe_utilization,sg00,Tensorizer,TilingProfiler,127.33984049207675,Percent
,0,psum_spilled,sg00,Tensorizer,SpillPSum,138240000,Bytes
,0,CompilationTime,sg00,WalrusDriver,3,6528.014923810959,Seconds
,0,CompilationTime,all,compile,0,6696.436694145203,Seconds
,0,EstimatedLowerBoundLatency,None,KELP,None,0,Milliseconds
"""
_BUG = """10/12/2024 01:37:50 PM ERROR 58870 [neuron-cc]:  An Internal Compiler Error has occurred
10/12/2024 01:37:50 PM ERROR 58870 [neuron-cc]: Error message:  should not have any PF conflict
10/12/2024 01:37:50 PM ERROR 58870 [neuron-cc]: Error class:    AssertionError
"""
_GROW = "import time; held = bytearray(300 << 20); time.sleep(60)"


def main(arguments: list[str]) -> int:
    source, target = Path(arguments[1]), Path(arguments[arguments.index("--output") + 1])
    if "--opt-level" in arguments:
        sys.stderr.write("neuron-cc: error: unrecognized arguments: --opt-level\n")
        return 2
    behaviour = _behaviour(arguments)
    sys.stdout.write(".....\n")  # it shows progress on stdout
    if behaviour == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "abort":
        os.kill(os.getpid(), signal.SIGABRT)
    if behaviour == "slow":
        time.sleep(60)
    if behaviour == "grow":
        subprocess.run([sys.executable, "-c", _GROW], check=False)
    log = source.with_name("graph_def.neuron-cc.log")
    if behaviour == "error":
        log.write_text(_BUG + "\nCompiler status ERROR\n")
        return 1
    remark = "Warning: too many spills required, turning optimizations off\n"
    log.write_text((remark if behaviour == "spills" else "") + "\nCompiler status PASS\n")
    source.with_name("all_metrics.csv").write_text(_METRICS)
    source.with_name("info.json").write_text(json.dumps({"tool_version": "1.24.0.0", "num_tpb": 1}))
    source.with_name("metrics.json").write_text(json.dumps([{"MetricName": "TPBCount"}]))
    source.with_name("neff.json").write_text("{}")
    (source.parent / "sg00").mkdir()
    target.write_bytes(source.read_bytes())
    return 0


def _behaviour(arguments: list[str]) -> str:
    folder = Path(os.environ["NEURON_STANDIN"])
    calls, words = folder / "calls", folder / "behaviours"
    before = len(calls.read_text().splitlines()) if calls.exists() else 0
    with calls.open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    given = words.read_text().split() if words.exists() else []
    return given[before] if before < len(given) else "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
