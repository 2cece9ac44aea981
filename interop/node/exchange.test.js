// Token exchange (RFC 8693): a gateway that was shown a user's token gets one of its own for the same user.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { accountClient, audience, claims, register, service, signIn, url } from './server.js'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const gateway = { id: 'node-gateway', secret: 'a secret of the tests, long enough' }

before(() => {
  const rule = { subject_clients: [accountClient], subject_audiences: [audience], scope: 'openid email' }
  register(gateway.id, { token_exchange: [rule] }, gateway.secret, '--grant', grantType, '--scope', 'openid email')
})

async function exchange(subject_token, more, by = gateway) {
  const options = { execute: [client.allowInsecureRequests] }
  const config = await client.discovery(url, by.id, undefined, client.ClientSecretBasic(by.secret), options)
  return client.genericGrantRequest(config, grantType, { subject_token, subject_token_type: accessTokenType, ...more })
}

test('openid-client exchanges a user\'s token for one that says who acts', async () => {
  const alice = await signIn()
  const token = await exchange(alice.access_token)
  assert.equal(token.issued_token_type, accessTokenType)
  const { sub, act, client_id } = claims(token.access_token)
  assert.deepEqual([sub, act.sub, client_id], [alice.user_id, gateway.id, gateway.id])
})

test('openid-client exchanges for less scope', async () => {
  const alice = await signIn()
  const token = await exchange(alice.access_token, { scope: 'openid' })
  assert.equal(token.scope, 'openid')
})

const refusals = [
  ['a token that is none', (_) => exchange('nonsense'), 'invalid_request'],
  ['a scope that the rule does not give', (token) => exchange(token, { scope: 'profile' }), 'invalid_scope'],
  ['a client without the grant', (token) => exchange(token, {}, service), 'unauthorized_client'],
]
for (const [what, refused, code] of refusals) {
  test(`openid-client names the error of ${what}`, async () => {
    const alice = await signIn()
    await assert.rejects(refused(alice.access_token), (error) => {
      assert.ok(error instanceof client.ResponseBodyError, String(error))
      assert.equal(error.error, code)
      assert.ok(error.error_description)
      return true
    })
  })
}

test('oauth4webapi exchanges a token', async () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const me = { client_id: gateway.id }
  const alice = await signIn()
  const parameters = { subject_token: alice.access_token, subject_token_type: accessTokenType }
  const auth = oauth.ClientSecretBasic(gateway.secret)
  const response = await oauth.genericTokenEndpointRequest(as, me, auth, grantType, parameters, insecure)
  const token = await oauth.processGenericTokenEndpointResponse(as, me, response)
  assert.equal(claims(token.access_token).sub, alice.user_id)
})
