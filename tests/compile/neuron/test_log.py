"""The compile log and the compiler's work folder, read back as numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

import pytest

from compile.neuron.log import CompilerLog, NotCompiled, logged_to, not_on_chip, read_log
from compile.neuron.metrics import compiler_message, last_words, read_metrics

# As a published log of torch-neuron 1.13.1 words it, doubled by a second handler.
PARTLY = """
INFO:Neuron:There are 61 ops of 7 different types in the TorchScript that are not compiled by neuron-cc: aten::index, aten::embedding, (For more information see https://example.org)
INFO:Neuron:Number of arithmetic operators (pre-compilation) before = 2009, fused = 1958, percent fused = 97.46%
INFO:Neuron:Compile command returned: 1
[INFO] Compile command returned: 1
WARNING:Neuron:torch.neuron.trace failed on _NeuronGraph$1025; falling back to native python function call
[WARNING] torch.neuron.trace failed on _NeuronGraph$1025; falling back to native python function call
ERROR:Neuron:neuron-cc failed with the following command line call:
INFO:Neuron:Compiling function _NeuronGraph$1026 with neuron-cc
INFO:Neuron:Compile command returned: -9
INFO:Neuron:Compiling function _NeuronGraph$1027 with neuron-cc
INFO:Neuron:Compile command returned: 0
.WARNING:Neuron:The neuron-cc (neuron compiler) process aborted (SIG_ABORT).  This is likely due to a bug.
INFO:Neuron:Number of arithmetic operators (post-compilation) before = 2009, compiled = 615, percent compiled = 30.61%
INFO:Neuron:The neuron partitioner created 31 sub-graphs
INFO:Neuron:Neuron successfully compiled 20 sub-graphs, Total fused subgraphs = 31, Percent of model sub-graphs successfully compiled = 64.5%
INFO:Neuron:Compiled these operators (and operator counts) to Neuron:
INFO:Neuron: => aten::Int: 4
INFO:Neuron:Not compiled operators (and operator counts) to Neuron:
INFO:Neuron: => aten::Int: 1 [supported]
[INFO]  => aten::Int: 1 [supported]
INFO:Neuron: => aten::embedding: 1 [not supported]
"""  # noqa: E501

WHOLE = """
Number of arithmetic operators (post-compilation) before = 600, compiled = 600, percent compiled = 100.0%
Neuron successfully compiled 1 sub-graphs, Total fused subgraphs = 1, Percent of model sub-graphs successfully compiled = 100.0%
Compiled these operators (and operator counts) to Neuron:
 => aten::linear: 48
Not compiled operators (and operator counts) to Neuron:
"""  # noqa: E501


def parsed(folder: Path, text: str) -> CompilerLog:
    (folder / "trace.log").write_text(text)
    return read_log(folder / "trace.log")


def test_read_log_reads_the_whole_log_of_a_partial_compile(tmp_path: Path) -> None:
    assert parsed(tmp_path, PARTLY) == CompilerLog(
        operators=2009,
        compiled=615,
        percent_compiled=30.61,
        subgraphs=31,
        compiled_subgraphs=20,
        fell_back=("_NeuronGraph$1025",),
        return_codes=(1, -9, 0),
        aborted=True,
        not_compiled=(NotCompiled("aten::Int", 1, True), NotCompiled("aten::embedding", 1, False)),
    )


def test_the_log_names_operators_left_for_the_cpu(tmp_path: Path) -> None:
    told = not_on_chip(parsed(tmp_path, PARTLY))
    assert told == (
        "sub-graphs _NeuronGraph$1025 fell back to the CPU; 615 of 2009 operators were compiled; "
        "not compiled: 1 aten::Int [supported], 1 aten::embedding [not supported]"
    )


def test_a_whole_compile_leaves_nothing_for_the_cpu(tmp_path: Path) -> None:
    log = parsed(tmp_path, WHOLE)
    assert (log.percent_compiled, log.subgraphs, log.not_compiled) == (100.0, 1, ())
    assert not_on_chip(log) is None


def test_another_compilers_log_concludes_nothing(tmp_path: Path) -> None:
    log = parsed(tmp_path, "Compiler status PASS\n\n")
    assert log == CompilerLog()
    assert not_on_chip(log) is None


def test_the_sdks_log_goes_to_the_file_and_not_to_the_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("Neuron of this test")
    before = logger.level, logger.propagate
    with logged_to(tmp_path / "log", logger.name):
        logger.info("percent compiled = %s", "100%")
    logger.warning("afterwards")
    assert (tmp_path / "log").read_text() == "percent compiled = 100%\n"
    assert [record.message for record in caplog.records] == ["afterwards"]
    assert (logger.level, logger.propagate) == before
    assert not logger.handlers


METRICS = """timestamp,run_id,name,subgraph,scope,sub_scope,value,unit,
,0,CompilationTime,sg00,Tensorizer,RelayPasses,0.27,Seconds
,0,matmul,sg00,Tensorizer,StaticProfiler,4000,Count
,0,matmul,sg01,Tensorizer,StaticProfiler,1000,Count
,0,matmul,sg00,Tensorizer,SomethingElse,7,Count
,0,average_pe_utilization,sg00,Tensorizer,TilingProfiler,127.3,Percent
,0,average_pe_utilization,sg00,Tensorizer,StaticProfiler,77.0,Percent
,0,average_pe_utilization,sg01,Tensorizer,StaticProfiler,60.0,Percent
,0,CompilationTime,all,compile,0,6696.4,Seconds
"""


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_metrics_come_from_the_right_scope_and_missing_ones_are_none(tmp_path: Path) -> None:
    write(tmp_path / "0", "all_metrics.csv", METRICS)
    write(tmp_path / "1", "graph_def.neuron-cc.log", "Warning: too many spills required, turning")
    write(tmp_path / "sg00", "bir.json", "{}")
    first, second = read_metrics(tmp_path)
    assert (first.name, first.compile_s, first.matmul_ops) == ("0", 6696.4, 5000)
    assert (first.pe_utilisation_percent, first.ddr_bytes) == (60.0, None)
    assert (first.gave_up_optimising, second.gave_up_optimising) == (False, True)
    assert (second.name, second.compile_s) == ("1", None)
    assert read_metrics(tmp_path / "nothing here") == ()


def test_metrics_leave_out_a_number_that_is_none(tmp_path: Path) -> None:
    write(tmp_path, "all_metrics.csv", METRICS.replace("6696.4", "n/a"))
    (only,) = read_metrics(tmp_path)
    assert (only.compile_s, only.matmul_ops) == (None, 5000)


LAST = "ERROR 58870 [neuron-cc]: Error message:  should not have any PF conflict\n"
PART = "Error message:  Non-zero exit status (134) for command: walrus_driver --optlevel 2\n"


@pytest.mark.parametrize(
    ("out", "err", "log", "said"),
    [
        ("", "", "", None),
        ("", "", f"Error message: an earlier one\n{LAST}", "should not have any PF conflict"),
        (
            "",
            "what(): === BIR error ===\nReason: Access pattern out\nOpcode: 1",
            PART,
            "Access pat",
        ),
        ("", "2024Z [XTP003] Number of instructions (6) is over\n", LAST, "[XTP003] Number of"),
        ("Unsupported CustomCall target: Resize\n", "", LAST, "Unsupported CustomCall target: R"),
        ("", "Error message:  \nError class:    AssertionError\n", "", "AssertionError"),
        ("", "[NCC_WXYZ001] only a warning\n", LAST, "should not have any PF conflict"),
    ],
)
def test_compiler_message_is_what_names_a_cause_wherever_it_stands(
    tmp_path: Path, out: str, err: str, log: str, said: Optional[str]
) -> None:
    write(tmp_path, "compiler.out", out)
    write(tmp_path, "compiler.err", err)
    write(tmp_path / "0", "graph_def.neuron-cc.log", log)
    found = compiler_message(tmp_path)
    assert (found or "").startswith(said or "")
    assert bool(found) == bool(said)


def test_last_words_are_the_last_line_on_stderr(tmp_path: Path) -> None:
    assert last_words(tmp_path) is None
    write(tmp_path, "compiler.err", "Traceback:\nIndexError: list index out of range\n\n")
    assert last_words(tmp_path) == "IndexError: list index out of range"
