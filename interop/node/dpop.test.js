// DPoP (RFC 9449) with openid-client, which repeats a request by itself when a nonce is wanted, and with oauth4webapi,
// which leaves that to its caller and checks bound tokens as a resource server.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { accountClient, audience, claims, register, service, signIn, url } from './server.js'

const scope = 'groups:read'
const group = new URL('/api/auth/groups/01890000-0000-7000-8000-000000000000', url)
/** A client whose tokens must be bound and whose proofs must repeat nonces. */
const careful = { id: 'node-careful', secret: 'a secret of the tests, long enough' }
let keyPair

before(async () => {
  keyPair = await client.randomDPoPKeyPair('ES256')
  const metadata = { dpop_bound_access_tokens: true, dpop_require_nonce: true }
  register(careful.id, metadata, careful.secret, '--auth-method', 'client_secret_post', '--scope', scope)
})

async function config(id = service.id, auth = client.ClientSecretBasic(service.secret)) {
  return client.discovery(url, id, undefined, auth, { execute: [client.allowInsecureRequests] })
}

const thumbprint = async (pair) => calculateJwkThumbprint(await exportJWK(pair.publicKey))

test('the metadata names the algorithms of proofs', async () => {
  assert.ok((await config()).serverMetadata().dpop_signing_alg_values_supported.includes('ES256'))
})

test('openid-client gets a token bound to its key and calls an API with it', async () => {
  const discovered = await config()
  const DPoP = client.getDPoPHandle(discovered, keyPair)
  const token = await client.clientCredentialsGrant(discovered, { scope }, { DPoP })
  assert.equal(token.token_type, 'dpop')
  assert.equal(claims(token.access_token).cnf.jkt, await thumbprint(keyPair))
  const answer = await client.fetchProtectedResource(
    discovered, token.access_token, group, 'GET', undefined, undefined, { DPoP })
  assert.equal(answer.status, 404)
})

test('openid-client hears that a bound token is no bearer token', async () => {
  const discovered = await config()
  const DPoP = client.getDPoPHandle(discovered, keyPair)
  const { access_token } = await client.clientCredentialsGrant(discovered, { scope }, { DPoP })
  await assert.rejects(client.fetchProtectedResource(discovered, access_token, group, 'GET'), challenged('invalid_token'))
})

test('openid-client hears that a bound token is not bound to another key', async () => {
  const discovered = await config()
  const DPoP = client.getDPoPHandle(discovered, keyPair)
  const { access_token } = await client.clientCredentialsGrant(discovered, { scope }, { DPoP })
  const other = { DPoP: client.getDPoPHandle(discovered, await client.randomDPoPKeyPair('ES256')) }
  const call = client.fetchProtectedResource(discovered, access_token, group, 'GET', undefined, undefined, other)
  await assert.rejects(call, challenged(/^invalid_(token|dpop_proof)$/))
})

test('openid-client hears that a refresh token issued without a key stays without one', async () => {
  const discovered = await config(accountClient, client.None())
  const DPoP = client.getDPoPHandle(discovered, keyPair)
  const { refresh_token } = await signIn()
  const bound = client.refreshTokenGrant(discovered, refresh_token, undefined, { DPoP })
  await assert.rejects(bound, { error: 'invalid_grant', error_description: /issued without a key/ })
  assert.ok((await client.refreshTokenGrant(discovered, refresh_token)).refresh_token)
})

test('a client that must repeat nonces gets its token: openid-client asks again by itself', async () => {
  const discovered = await config(careful.id, client.ClientSecretPost(careful.secret))
  const DPoP = client.getDPoPHandle(discovered, keyPair)
  const token = await client.clientCredentialsGrant(discovered, { scope }, { DPoP })
  assert.equal(token.token_type, 'dpop')
})

test('a client whose tokens must be bound hears that a proof is missing', async () => {
  const discovered = await config(careful.id, client.ClientSecretPost(careful.secret))
  await assert.rejects(client.clientCredentialsGrant(discovered, { scope }), (error) => {
    assert.ok(error instanceof client.ResponseBodyError, String(error))
    assert.equal(error.error, 'invalid_dpop_proof')
    assert.ok(error.error_description)
    return true
  })
})

test('oauth4webapi is told the nonce, repeats its request and checks the token as a resource server', async () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const me = { client_id: careful.id }
  const auth = oauth.ClientSecretPost(careful.secret)
  const DPoP = oauth.DPoP(me, keyPair)
  const ask = async () => oauth.processClientCredentialsResponse(
    as, me, await oauth.clientCredentialsGrantRequest(as, me, auth, { scope }, { ...insecure, DPoP }))
  await assert.rejects(ask, (error) => oauth.isDPoPNonceError(error))
  const { access_token } = await ask()

  const request = await capture((options) =>
    oauth.protectedResourceRequest(access_token, 'GET', new URL(audience), undefined, undefined, { ...options, DPoP }))
  const accepted = await oauth.validateJwtAccessToken(as, request, audience, insecure)
  assert.equal(accepted.cnf.jkt, await thumbprint(keyPair))
})

/** The request that a call would have sent. */
async function capture(call) {
  let sent
  const customFetch = async (to, options) => {
    sent = new Request(to, options)
    return new Response('', { status: 200 })
  }
  await call({ [oauth.customFetch]: customFetch })
  return sent
}

function challenged(code) {
  return (error) => {
    assert.ok(error instanceof client.WWWAuthenticateChallengeError, String(error))
    assert.equal(error.status, 401)
    assert.ok(error.cause.some(({ parameters }) => parameters.error?.match(code)), JSON.stringify(error.cause))
    return true
  }
}
