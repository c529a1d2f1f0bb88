"""What is expected of a command that fails."""


def one_line(result, *words):
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert len(result.output.strip().splitlines()) == 1
    for word in words:
        assert word in result.output
