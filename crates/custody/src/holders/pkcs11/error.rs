//! What the return values of a token mean for a keyholder.

use crate::holder::{Answer, HolderError};
use cryptoki::{
    context::Function,
    error::{Error, RvError},
};

/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0, which the binding has no name for.
const AEAD_DECRYPT_FAILED: std::ffi::c_ulong = 0x42;

/// The return value as the standard names it.
fn code(value: RvError) -> String {
    match value {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => format!("CKR 0x{number:08x}"),
        named => {
            let mut code = String::from("CKR");
            for letter in format!("{named:?}").chars() {
                if letter.is_ascii_uppercase() {
                    code.push('_');
                }
                code.push(letter.to_ascii_uppercase());
            }
            code
        }
    }
}

fn answer(value: RvError, function: Function) -> Answer {
    Answer { code: Some(code(value)), said: format!("C_{function:?}"), request_id: None }
}

/// What a failed call means.
pub(super) fn classify(error: Error) -> HolderError {
    use RvError as R;
    let (value, function) = match error {
        Error::Pkcs11(value, function) => (value, function),
        other => return HolderError::Unreachable(format!("the PKCS#11 module failed: {other}").into()),
    };
    let answer = answer(value, function);
    match value {
        R::PinLocked
        | R::PinExpired
        | R::PinTooWeak
        | R::UserPinNotInitialized
        | R::UserTypeInvalid
        | R::UserAnotherAlreadyLoggedIn
        | R::UserTooManyTypes
        | R::ActionProhibited
        | R::FunctionRejected
        | R::AttributeReadOnly
        | R::TokenWriteProtected
        | R::TemplateInconsistent
        | R::KeyUnextractable
        | R::KeyNotWrappable => HolderError::Denied(answer),
        R::KeyFunctionNotPermitted => HolderError::Disabled(answer),
        R::KeyHandleInvalid
        | R::ObjectHandleInvalid
        | R::WrappingKeyHandleInvalid
        | R::UnwrappingKeyHandleInvalid => HolderError::Deleted(answer),
        R::SessionCount => HolderError::Throttled(answer),
        R::MechanismInvalid
        | R::MechanismParamInvalid
        | R::KeySizeRange
        | R::KeyTypeInconsistent
        | R::UnwrappingKeySizeRange
        | R::UnwrappingKeyTypeInconsistent
        | R::WrappingKeySizeRange
        | R::WrappingKeyTypeInconsistent
        | R::FunctionNotSupported => {
            HolderError::Malformed(format!("the token cannot do what the keyholder needs: {answer}"))
        }
        // A login that fails for whatever reason is not tried again: tries are counted.
        _ if matches!(function, Function::Login) => HolderError::Denied(answer),
        _ => HolderError::Unreachable(answer),
    }
}

/// How a token answers to a PIN that is not the right one.
pub(super) fn is_wrong_pin(error: &Error) -> bool {
    matches!(error, Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _))
}

/// Whether the token itself is not there, as against a call that failed.
pub(super) fn is_absent(error: &Error) -> bool {
    use RvError as R;
    let absent = [R::TokenNotPresent, R::TokenNotRecognized, R::DeviceRemoved, R::SlotIdInvalid];
    matches!(error, Error::Pkcs11(value, _) if absent.contains(value))
}

/// What a failure to open a wrap says about the wrap.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was changed.
    Changed,
    /// It was changed, or the token fails altogether: some tokens give one code for both.
    ChangedIfTokenLives,
    /// Nothing.
    Nothing,
}

/// What the failed call of an opening says.
pub(super) fn verdict(error: &Error) -> Verdict {
    use RvError as R;
    let Error::Pkcs11(value, Function::Decrypt | Function::DecryptFinal | Function::UnwrapKey) = error else {
        return Verdict::Nothing;
    };
    match value {
        R::EncryptedDataInvalid
        | R::EncryptedDataLenRange
        | R::WrappedKeyInvalid
        | R::WrappedKeyLenRange
        | R::SignatureInvalid
        | R::UnknownErrorCode(AEAD_DECRYPT_FAILED) => Verdict::Changed,
        R::GeneralError | R::FunctionFailed => Verdict::ChangedIfTokenLives,
        _ => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: RvError, function: Function) -> HolderError {
        classify(Error::Pkcs11(value, function))
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        assert_eq!(code(RvError::PinIncorrect), "CKR_PIN_INCORRECT");
        assert_eq!(code(RvError::SlotIdInvalid), "CKR_SLOT_ID_INVALID");
        assert_eq!(code(RvError::KeyFunctionNotPermitted), "CKR_KEY_FUNCTION_NOT_PERMITTED");
        assert_eq!(code(RvError::VendorDefined(0x8000_0001)), "CKR 0x80000001");
        let error = of(RvError::DeviceRemoved, Function::Decrypt);
        assert_eq!(error.to_string(), "it could not be reached: CKR_DEVICE_REMOVED: C_Decrypt");
    }

    #[test]
    fn no_is_told_from_nobody_there() {
        use RvError as R;
        assert!(matches!(of(R::PinLocked, Function::Login), HolderError::Denied(_)));
        assert!(matches!(of(R::KeyFunctionNotPermitted, Function::DecryptInit), HolderError::Disabled(_)));
        assert!(matches!(of(R::KeyHandleInvalid, Function::EncryptInit), HolderError::Deleted(_)));
        for gone in [R::DeviceRemoved, R::TokenNotPresent, R::SessionHandleInvalid, R::GeneralError] {
            let error = of(gone, Function::Encrypt);
            assert!(matches!(error, HolderError::Unreachable(_)) && error.is_passing(), "{error}");
        }
        for unknown in [R::VendorDefined(0x8000_0001), R::GeneralError, R::DeviceError] {
            assert!(!of(unknown, Function::Login).is_passing(), "a login is not tried again");
        }
    }

    #[test]
    fn only_an_opening_tells_of_changes() {
        let opening = |value| verdict(&Error::Pkcs11(value, Function::Decrypt));
        assert_eq!(opening(RvError::EncryptedDataInvalid), Verdict::Changed);
        assert_eq!(opening(RvError::UnknownErrorCode(0x42)), Verdict::Changed);
        assert_eq!(opening(RvError::GeneralError), Verdict::ChangedIfTokenLives);
        assert_eq!(opening(RvError::DeviceRemoved), Verdict::Nothing);
        let starting = verdict(&Error::Pkcs11(RvError::GeneralError, Function::DecryptInit));
        assert_eq!(starting, Verdict::Nothing);
    }
}
