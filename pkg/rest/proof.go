package rest

import (
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const secondFactor = "/auth/second-factor/"

func proofRoutes() []Route {
	return []Route{
		define(post, "/auth/password-reset/", vault.ActionRequestPasswordReset, http.StatusAccepted,
			"Ask for a link to choose a new password, by mail; the answer is the same for every address.", requestPasswordReset),
		define(post, "/auth/password-reset/confirm/", vault.ActionConfirmPasswordReset, noContent,
			"Choose a new password by such a link; ends all sessions.", confirmPasswordReset),
		define(get, secondFactor, vault.ActionReadSecondFactor, ok, "Whether one's account has a second factor.", readSecondFactor),
		define(post, secondFactor, vault.ActionSetUpSecondFactor, ok,
			"Make the secret for an authenticator app; it is in this answer only and has to be confirmed.", setUpSecondFactor),
		define(post, secondFactor+"confirm/", vault.ActionConfirmSecondFactor, ok,
			"Switch the second factor on by a code of the app; the recovery codes are in this answer only.", confirmSecondFactor),
		define(post, secondFactor+"recovery-codes/", vault.ActionRenewRecoveryCodes, ok,
			"Make new recovery codes in place of the former ones, by the password and a code.", renewRecoveryCodes),
		define(post, secondFactor+"disable/", vault.ActionDisableSecondFactor, noContent,
			"Switch the second factor off, by the password and a code.", disableSecondFactor),
	}
}

func requestPasswordReset(c *call, in withBody[api.PasswordResetRequest]) (empty, error) {
	return empty{}, c.api.vault.RequestPasswordReset(c, c.who, in.Body)
}

func confirmPasswordReset(c *call, in withBody[api.PasswordResetConfirm]) (empty, error) {
	return empty{}, c.api.vault.ConfirmPasswordReset(c, c.who, in.Body)
}

func readSecondFactor(c *call, _ nothing) (api.SecondFactorState, error) {
	return c.api.vault.SecondFactor(c, c.who)
}

func setUpSecondFactor(c *call, in withBody[api.SecondFactorProof]) (api.SecondFactorSetup, error) {
	return c.api.vault.SetUpSecondFactor(c, c.who, in.Body)
}

func confirmSecondFactor(c *call, in withBody[api.SecondFactorCode]) (api.RecoveryCodes, error) {
	return c.api.vault.ConfirmSecondFactor(c, c.who, in.Body)
}

func renewRecoveryCodes(c *call, in withBody[api.SecondFactorProof]) (api.RecoveryCodes, error) {
	return c.api.vault.RenewRecoveryCodes(c, c.who, in.Body)
}

func disableSecondFactor(c *call, in withBody[api.SecondFactorProof]) (empty, error) {
	return empty{}, c.api.vault.DisableSecondFactor(c, c.who, in.Body)
}
