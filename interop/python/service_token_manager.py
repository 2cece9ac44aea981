"""A chat backend's token handling as it was written for the older auth service: aiohttp, five settings, nothing else.

It knows nothing of discovery or JWKS. It posts a form to SERVICE_TOKEN_URL, keeps the token until 80 % of its life has
passed, and drops it when the auth API answers 401. That it runs unchanged is the test.
"""

import asyncio
import os
import time

import aiohttp

SETTINGS = ("SERVICE_CLIENT_ID", "SERVICE_CLIENT_SECRET", "SERVICE_TOKEN_URL", "SERVICE_SCOPE", "AUTH_API_URL")


class ServiceTokenManager:
    def __init__(self, session, settings=os.environ):
        self._session = session
        self._client_id, self._secret, self._token_url, self._scope, _ = (settings[name] for name in SETTINGS)
        self._lock = asyncio.Lock()
        self._token = None
        self._renew_at = 0.0
        self.fetched = 0

    async def get_token(self):
        if self._token and time.monotonic() < self._renew_at:
            return self._token
        async with self._lock:
            if not self._token or time.monotonic() >= self._renew_at:
                await self._fetch()
            return self._token

    def invalidate(self):
        self._token = None

    async def _fetch(self):
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret,
            "scope": self._scope,
        }
        async with self._session.post(self._token_url, data=form) as response:
            response.raise_for_status()
            body = await response.json()
        self._token = body["access_token"]
        self._renew_at = time.monotonic() + body["expires_in"] * 0.8
        self.fetched += 1


class AuthApi:
    def __init__(self, session, tokens, settings=os.environ):
        self._session = session
        self._tokens = tokens
        self._url = settings["AUTH_API_URL"].rstrip("/")

    async def group(self, group_id):
        return await self._get(f"/api/auth/groups/{group_id}")

    async def members(self, group_id):
        return (await self._get(f"/api/auth/groups/{group_id}/members"))["members"]

    async def _get(self, path):
        for last in (False, True):
            headers = {"Authorization": f"Bearer {await self._tokens.get_token()}"}
            async with self._session.get(self._url + path, headers=headers) as response:
                if response.status == 401 and not last:
                    self._tokens.invalidate()
                    continue
                if response.status == 404:
                    return None
                response.raise_for_status()
                return await response.json()
