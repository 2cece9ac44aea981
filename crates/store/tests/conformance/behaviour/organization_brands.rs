//! How organizations look.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

on_both_engines! {
    async fn owners_and_admins_give_an_organization_its_look(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Acme", &alice).await;
        let admin = ground.member(&org, "admin", OrganizationRole::Admin).await;
        let member = ground.member(&org, "member", OrganizationRole::Member).await;
        let stranger = ground.user("stranger").await;
        let read = async || ground.store.organization_brand(&org).await.unwrap();
        let put = async |actor: Option<&UserId>, brand: &OrganizationBrand| {
            let put = PutOrganizationBrand {
                org_id: org.clone(),
                brand: brand.clone(),
                actor: actor.cloned(),
                context: at(NOW),
            };
            ground.store.write(put).await.unwrap()
        };
        assert_eq!(read().await, None);
        let brand = OrganizationBrand {
            name: Some("Acme Ltd".into()),
            colour: Some("aa3300".into()),
            logo_type: Some("image/png".into()),
            logo: Some(vec![0, 1, 255]),
        };
        for nobody in [&member, &stranger] {
            assert!(!put(Some(nobody), &brand).await);
        }
        assert_eq!(read().await, None);
        for somebody in [Some(&alice), Some(&admin), None] {
            assert!(put(somebody, &brand).await);
        }
        assert_eq!(read().await, Some(brand));
        assert!(put(None, &OrganizationBrand::default()).await);
        let named = OrganizationBrand { name: Some("Acme".into()), ..OrganizationBrand::default() };
        assert_eq!(read().await, Some(named), "without a name of its own it has the organization's");
        assert_eq!(ground.audited("organization_brand_changed").await, 4);
    }
}
