"""A stand-in for neuron-cc, run as a process of its own: copies its input and leaves its reports.

Its words beside those of neuron_base/compiler.py:

spills        the sub-graph is compiled, with the remark that the compiler gave up optimisations
error         an internal error, without a published cure; in the log only
index         an internal error with exact transposes, #394
instructions  the sub-graph is too large, #495
bound         an access pattern out of bound, on stderr only, #709
partition     an access pattern at a wrong partition, on stderr only, #600

Numbers are issues of aws-neuron/aws-neuron-sdk, whose words these are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neuron_base import compiler
from neuron_base.compiler import Failure, fails

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
_ERROR = "10/12/2024 01:37:50 PM ERROR 58870 [neuron-cc]: "


def _internal_error(message: str) -> str:
    return (
        f"{_ERROR} An Internal Compiler Error has occurred\n"
        f"{_ERROR}Error message:  {message}\n{_ERROR}\nCompiler status ERROR\n"
    )


def _thrown(head: str, reason: str) -> str:
    """What C++ prints as it aborts, on stderr."""
    return (
        f"terminate called after throwing an instance of 'std::runtime_error'\n  what():  {head}\n"
        f"Reason: {reason}\nInstruction: I-2943-0\nOpcode: TensorCopy\nOutput index: 0\n"
    )


_FAILURES = {
    "error": Failure(
        _internal_error("should not have any PF conflict"), on_stderr=False, in_log=True
    ),
    "index": Failure(_internal_error("list index out of range"), in_log=True),
    "instructions": Failure(
        _internal_error(
            "Compiler generated too many instructions, this may due to a failure in parallelism "
            "extraction"
        ),
        in_log=True,
    ),
    "bound": Failure(_thrown("=== BIR error ===", "Access pattern out of bound."), aborts=True),
    "partition": Failure(
        _thrown(
            "=== BIR verification failed ===",
            "Access pattern did not start at parition 0 or 64. Starts at partition 48",
        ),
        aborts=True,
    ),
}


def main(arguments: list[str]) -> int:
    source, target = Path(arguments[1]), Path(arguments[arguments.index("--output") + 1])
    if "--opt-level" in arguments:
        sys.stderr.write("neuron-cc: error: unrecognized arguments: --opt-level\n")
        return 2
    word = compiler.begin(arguments)
    log = source.with_name("graph_def.neuron-cc.log")
    code = fails(word, _FAILURES, log)
    if code:
        return code
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
