import pytest

pytestmark = pytest.mark.anyio


async def test_the_files_are_for_this_daemon(call, settings):
    status, answer = await call("GET", "/api/monitoring/files")
    assert status == 200
    files = answer["files"]
    assert {"prometheus.yml", "alerts.yml", "dashboards/overview.json"} < set(files)
    assert f'credentials_file: "{settings.data_dir}/api-token"' in files["prometheus.yml"]
