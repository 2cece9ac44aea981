// private_key_jwt (RFC 7523) with openid-client and oauth4webapi, both of which name the issuer as the audience.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { claims, register, service, url } from './server.js'

const id = 'node-keyed'
const scope = 'groups:read'
let key

before(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true })
  key = { key: pair.privateKey, kid: 'one' }
  const jwks = { keys: [{ ...await exportJWK(pair.publicKey), kid: 'one' }] }
  register(id, { jwks }, undefined, '--auth-method', 'private_key_jwt', '--scope', scope)
})

async function grant(auth, clientId = id) {
  const options = { execute: [client.allowInsecureRequests] }
  const config = await client.discovery(url, clientId, undefined, auth, options)
  return client.clientCredentialsGrant(config, { scope })
}

test('openid-client gets a service token with an assertion, and another with another', async () => {
  for (const _ of [1, 2]) {
    const { access_token } = await grant(client.PrivateKeyJwt(key))
    assert.equal(claims(access_token).client_id, id)
  }
})

test('oauth4webapi introspects with an assertion', async () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const { access_token } = await grant(client.PrivateKeyJwt(key))
  const me = { client_id: id }
  const response = await oauth.introspectionRequest(as, me, oauth.PrivateKeyJwt(key), access_token, insecure)
  assert.equal((await oauth.processIntrospectionResponse(as, me, response)).active, true)
})

const refusals = [
  ['an assertion signed with another key', async () => {
    const other = await generateKeyPair('ES256')
    return client.PrivateKeyJwt({ key: other.privateKey, kid: 'one' })
  }, /assertion is wrong/],
  ['an assertion for the token endpoint, as clients made it before RFC 7523bis', async () =>
    client.PrivateKeyJwt(key, { [client.modifyAssertion]: (_, payload) => { payload.aud = `${url.origin}/oauth/token` } }),
  /aud must be this server's issuer/],
  ['an assertion that lives for an hour', async () =>
    client.PrivateKeyJwt(key, { [client.modifyAssertion]: (_, payload) => { payload.exp = payload.iat + 3600 } }),
  /lives too long/],
  ['an assertion that was used before', async () => {
    const same = (_, payload) => { payload.jti = 'the same one' }
    await grant(client.PrivateKeyJwt(key, { [client.modifyAssertion]: same }))
    return client.PrivateKeyJwt(key, { [client.modifyAssertion]: same })
  }, /used before/],
]

for (const [what, method, sentence] of refusals) {
  test(`openid-client shows why ${what} is refused`, async () => {
    await assert.rejects(grant(await method()), (error) => {
      assert.ok(error instanceof client.ResponseBodyError, String(error))
      assert.deepEqual([error.error, error.status], ['invalid_client', 401])
      assert.match(error.error_description, sentence)
      return true
    })
  })
}

test('openid-client hears that a client with a secret may not authenticate by an assertion', async () => {
  await assert.rejects(grant(client.PrivateKeyJwt(key), service.id), { error: 'invalid_client', status: 401 })
})
