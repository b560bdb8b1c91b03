"""A stand-in for neuron-cc, run as a process of its own: copies its input and leaves its reports.

Its words beside those of neuron_base/compiler.py:

spills  the sub-graph is compiled, with the compiler's remark that it had to give up optimisations
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neuron_base import compiler

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


def main(arguments: list[str]) -> int:
    source, target = Path(arguments[1]), Path(arguments[arguments.index("--output") + 1])
    if "--opt-level" in arguments:
        sys.stderr.write("neuron-cc: error: unrecognized arguments: --opt-level\n")
        return 2
    word = compiler.begin(arguments)
    log = source.with_name("graph_def.neuron-cc.log")
    if word == "error":
        log.write_text(_BUG + "\nCompiler status ERROR\n")
        return 1
    remark = "Warning: too many spills required, turning optimizations off\n"
    log.write_text((remark if word == "spills" else "") + "\nCompiler status PASS\n")
    source.with_name("all_metrics.csv").write_text(_METRICS)
    source.with_name("info.json").write_text(json.dumps({"tool_version": "1.24.0.0", "num_tpb": 1}))
    source.with_name("metrics.json").write_text(json.dumps([{"MetricName": "TPBCount"}]))
    source.with_name("neff.json").write_text("{}")
    (source.parent / "sg00").mkdir()
    target.write_bytes(source.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
