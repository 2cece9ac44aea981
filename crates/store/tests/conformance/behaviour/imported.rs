//! What is brought over from the older machine-to-machine service.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn import(family: &RefreshFamily, digest: Option<u8>) -> ImportRefreshFamily {
    ImportRefreshFamily {
        family: family.clone(),
        digest: digest.map(|byte| [byte; 32]),
        context: at(NOW),
    }
}

fn spent(family: &FamilyId, digest: u8) -> ImportSpentRefreshToken {
    ImportSpentRefreshToken {
        digest: [digest; 32],
        family: family.clone(),
    }
}

on_both_engines! {
    async fn an_imported_refresh_token_is_generation_zero_and_is_renewed_once(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.new_family(&web, None);
        assert!(ground.store.write(import(&family, Some(1))).await.unwrap());
        let again = ground.new_family(&web, None);
        assert!(!ground.store.write(import(&again, Some(1))).await.unwrap(), "known already");
        assert!(ground.store.refresh_family(&again.id).await.unwrap().is_none());
        let found = ground.store.imported_refresh_token(&[1; 32]).await.unwrap().expect("it is there");
        assert_eq!((&found.family, found.generation), (&family.id, 0));
        assert_eq!(ground.store.imported_refresh_token(&[2; 32]).await.unwrap(), None);
        let Rotation::Rotated(now) = ground.rotate(&family.id, 0, NOW).await else {
            panic!("generation 0 is good");
        };
        assert_eq!(now.generation, 1);
        assert!(matches!(ground.rotate(&family.id, 1, NOW).await, Rotation::Rotated(_)));
        assert!(matches!(ground.rotate(&family.id, 0, NOW).await, Rotation::Replayed(_)));
        assert_eq!(ground.audited("refresh_token_reuse").await, 1);
    }

    async fn a_token_spent_before_the_import_ends_its_family_even_in_the_first_moment(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.new_family(&web, None);
        assert!(ground.store.write(import(&family, Some(1))).await.unwrap());
        assert!(ground.store.write(spent(&family.id, 2)).await.unwrap());
        assert!(!ground.store.write(spent(&family.id, 2)).await.unwrap(), "known already");
        let found = ground.store.imported_refresh_token(&[2; 32]).await.unwrap().expect("it is there");
        assert_eq!(found.generation, SPENT_BEFORE_IMPORT);
        assert!(matches!(ground.rotate(&family.id, SPENT_BEFORE_IMPORT, NOW).await, Rotation::Replayed(_)));
        assert!(matches!(ground.rotate(&family.id, 0, NOW).await, Rotation::Revoked));
    }

    async fn a_family_that_was_made_here_has_no_generation_before_the_first(ground: &Ground) {
        let web = ground.client("web").await;
        let family = ground.family(&web, None).await;
        for presented in [0, SPENT_BEFORE_IMPORT] {
            assert!(matches!(ground.rotate(&family, presented, NOW).await, Rotation::Unknown));
        }
        assert!(matches!(ground.rotate(&family, 1, NOW).await, Rotation::Rotated(_)));
    }

    async fn an_imported_token_goes_with_its_family(ground: &Ground) {
        let web = ground.client("web").await;
        let family = RefreshFamily {
            revoked_at: Some(NOW),
            revoked_reason: Some("spent_before_import".into()),
            ..ground.new_family(&web, None)
        };
        assert!(ground.store.write(import(&family, None)).await.unwrap());
        assert!(ground.store.write(spent(&family.id, 3)).await.unwrap());
        let sweep = Sweep { expired: Expired::EndedRefreshFamilies, before: NOW + DAY, limit: 10 };
        assert_eq!(ground.store.write(sweep).await.unwrap(), 1);
        assert_eq!(ground.store.imported_refresh_token(&[3; 32]).await.unwrap(), None);
    }

    async fn an_imported_audit_line_is_written_once(ground: &Ground) {
        let line = || ImportAuditLine {
            digest: [4; 32],
            event: AuditEvent::new("imported_audit_line").client("web"),
            context: at(NOW),
        };
        assert!(ground.store.write(line()).await.unwrap());
        assert!(!ground.store.write(line()).await.unwrap());
        assert_eq!(ground.audited("imported_audit_line").await, 1);
    }
}
