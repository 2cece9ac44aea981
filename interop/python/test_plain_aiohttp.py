"""The older aiohttp client, with its five settings and no change."""

import asyncio

import aiohttp
import pytest

from service_token_manager import AuthApi, ServiceTokenManager

NOWHERE = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def settings(server, service):
    return {
        "SERVICE_CLIENT_ID": service.client_id,
        "SERVICE_CLIENT_SECRET": service.client_secret,
        "SERVICE_TOKEN_URL": server.token_url,
        "SERVICE_SCOPE": service.scope,
        "AUTH_API_URL": server.url,
    }


def play(settings, scenario):
    async def inner():
        async with aiohttp.ClientSession() as session:
            tokens = ServiceTokenManager(session, settings)
            return await scenario(tokens, AuthApi(session, tokens, settings))

    return asyncio.run(inner())


def test_the_older_client_reads_a_group_and_its_members(settings, alice, group_id):
    async def scenario(_, api):
        return await api.group(group_id), await api.members(group_id)

    group, members = play(settings, scenario)
    assert (group["id"], group["name"], group["org_id"]) == (group_id, "E2E Test Group", alice["org_id"])
    assert {"id", "name", "description", "org_id", "created_at"} <= group.keys()
    assert alice["user_id"] in {member["user_id"] for member in members}
    assert all({"user_id", "email", "added_at", "added_by"} <= member.keys() for member in members)


def test_the_older_client_shares_one_token_among_all_its_requests(settings, group_id):
    async def scenario(tokens, api):
        groups = await asyncio.gather(*(api.group(group_id) for _ in range(50)))
        return tokens.fetched, len(groups)

    assert play(settings, scenario) == (1, 50)


def test_the_older_client_fetches_again_once_when_its_token_is_refused(settings, group_id):
    async def scenario(tokens, api):
        await tokens.get_token()
        tokens._token += "tampered"
        group = await api.group(group_id)
        return tokens.fetched, group["id"]

    assert play(settings, scenario) == (2, group_id)


def test_the_older_client_reads_an_unknown_group_as_absent(settings):
    async def scenario(_, api):
        return await api.group(NOWHERE)

    assert play(settings, scenario) is None


def test_the_older_client_hears_of_a_wrong_secret(settings):
    async def scenario(tokens, _):
        await tokens.get_token()

    with pytest.raises(aiohttp.ClientResponseError) as refusal:
        play({**settings, "SERVICE_CLIENT_SECRET": "wrong"}, scenario)
    assert refusal.value.status == 401
