//! Service discovery (XEP-0030) and the data forms (XEP-0004) in it.

use jid::Jid;
use minidom::Element;

use crate::{WithAttribute, ns, text_element};

/// What an entity is and can do: the `<query/>` of disco#info.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiscoInfo {
    pub node: Option<String>,
    pub identities: Vec<Identity>,
    pub features: Vec<String>,
    pub forms: Vec<DataForm>,
}

/// What an entity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub category: String,
    pub type_: String,
    pub name: Option<String>,
}

impl DiscoInfo {
    #[must_use]
    pub fn with_identity(mut self, category: &str, type_: &str, name: Option<&str>) -> DiscoInfo {
        self.identities.push(Identity {
            category: category.to_owned(),
            type_: type_.to_owned(),
            name: name.map(str::to_owned),
        });
        self
    }

    #[must_use]
    pub fn with_features<'a>(mut self, features: impl IntoIterator<Item = &'a str>) -> DiscoInfo {
        self.features
            .extend(features.into_iter().map(str::to_owned));
        self
    }

    #[must_use]
    pub fn with_form(mut self, form: DataForm) -> DiscoInfo {
        self.forms.push(form);
        self
    }

    /// Whether the feature is named.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|name| name == feature)
    }

    /// The query for an entity's (or one of its nodes') information.
    pub fn query(node: Option<&str>) -> Element {
        Element::builder("query", ns::DISCO_INFO)
            .with("node", node)
            .build()
    }

    /// The answer's `<query/>`.
    pub fn to_element(&self) -> Element {
        let identities = self.identities.iter().map(|identity| {
            Element::builder("identity", ns::DISCO_INFO)
                .with("category", identity.category.as_str())
                .with("type", identity.type_.as_str())
                .with("name", identity.name.as_deref())
                .build()
        });
        let features = self.features.iter().map(|feature| {
            Element::builder("feature", ns::DISCO_INFO)
                .with("var", feature.as_str())
                .build()
        });
        Element::builder("query", ns::DISCO_INFO)
            .with("node", self.node.as_deref())
            .append_all(identities)
            .append_all(features)
            .append_all(self.forms.iter().map(DataForm::to_element))
            .build()
    }

    /// Reads an answer; None if `query` is not a disco#info query. What is strange is left out.
    pub fn parse(query: &Element) -> Option<DiscoInfo> {
        if !query.is("query", ns::DISCO_INFO) {
            return None;
        }
        let mut info = DiscoInfo {
            node: query.attr("node").map(str::to_owned),
            ..DiscoInfo::default()
        };
        for child in query.children() {
            if child.is("identity", ns::DISCO_INFO) {
                info.identities.push(Identity {
                    category: child.attr("category").unwrap_or_default().to_owned(),
                    type_: child.attr("type").unwrap_or_default().to_owned(),
                    name: child.attr("name").map(str::to_owned),
                });
            } else if child.is("feature", ns::DISCO_INFO) {
                info.features.extend(child.attr("var").map(str::to_owned));
            } else if let Some(form) = DataForm::parse(child) {
                info.forms.push(form);
            }
        }
        Some(info)
    }
}

/// The `<query/>` of disco#items with these items.
pub fn items<'a>(items: impl IntoIterator<Item = (&'a Jid, Option<&'a str>)>) -> Element {
    let items = items.into_iter().map(|(jid, name)| {
        Element::builder("item", ns::DISCO_ITEMS)
            .with("jid", jid.as_str())
            .with("name", name)
            .build()
    });
    Element::builder("query", ns::DISCO_ITEMS)
        .append_all(items)
        .build()
}

/// What a form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormType {
    Form,
    Submit,
    Cancel,
    Result,
}

impl FormType {
    /// The value of the form's `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            FormType::Form => "form",
            FormType::Submit => "submit",
            FormType::Cancel => "cancel",
            FormType::Result => "result",
        }
    }
}

/// A data form.
#[derive(Clone, Debug, PartialEq)]
pub struct DataForm {
    pub type_: FormType,
    pub fields: Vec<Field>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub var: String,
    pub type_: Option<String>,
    pub label: Option<String>,
    pub values: Vec<String>,
}

impl DataForm {
    /// A form whose hidden FORM_TYPE field says what the other fields mean.
    pub fn new(type_: FormType, form_type: &str) -> DataForm {
        let field = Field {
            var: "FORM_TYPE".to_owned(),
            type_: Some("hidden".to_owned()),
            label: None,
            values: vec![form_type.to_owned()],
        };
        DataForm {
            type_,
            fields: vec![field],
        }
    }

    /// Adds a field of one value.
    #[must_use]
    pub fn with(self, var: &str, value: &str) -> DataForm {
        self.with_field(Field {
            var: var.to_owned(),
            type_: None,
            label: None,
            values: vec![value.to_owned()],
        })
    }

    /// Adds a field.
    #[must_use]
    pub fn with_field(mut self, field: Field) -> DataForm {
        self.fields.push(field);
        self
    }

    /// The first value of a field; None if the form has no such field or the field no value.
    pub fn value(&self, var: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.var == var)?;
        field.values.first().map(String::as_str)
    }

    /// The value of FORM_TYPE.
    pub fn form_type(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// The `<x/>` element.
    pub fn to_element(&self) -> Element {
        let fields = self.fields.iter().map(|field| {
            Element::builder("field", ns::DATA_FORMS)
                .with("var", field.var.as_str())
                .with("type", field.type_.as_deref())
                .with("label", field.label.as_deref())
                .append_all(
                    field
                        .values
                        .iter()
                        .map(|v| text_element("value", ns::DATA_FORMS, v)),
                )
                .build()
        });
        Element::builder("x", ns::DATA_FORMS)
            .with("type", self.type_.as_str())
            .append_all(fields)
            .build()
    }

    /// Reads an `<x/>`; None if it is no data form.
    pub fn parse(x: &Element) -> Option<DataForm> {
        if !x.is("x", ns::DATA_FORMS) {
            return None;
        }
        let type_ = match x.attr("type")? {
            "form" => FormType::Form,
            "submit" => FormType::Submit,
            "cancel" => FormType::Cancel,
            "result" => FormType::Result,
            _ => return None,
        };
        let fields = x
            .children()
            .filter(|child| child.is("field", ns::DATA_FORMS));
        let fields = fields.map(|field| Field {
            var: field.attr("var").unwrap_or_default().to_owned(),
            type_: field.attr("type").map(str::to_owned),
            label: field.attr("label").map(str::to_owned),
            values: field
                .children()
                .filter(|child| child.is("value", ns::DATA_FORMS))
                .map(Element::text)
                .collect(),
        });
        Some(DataForm {
            type_,
            fields: fields.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_reads_back() {
        let form = DataForm::new(FormType::Result, ns::MUC_ROOM_INFO)
            .with("muc#roominfo_meetingId", "a-b-c");
        let info = DiscoInfo::default()
            .with_identity("conference", "text", Some("tea"))
            .with_features([ns::MUC, "muc_nonanonymous"])
            .with_form(form);
        let read = DiscoInfo::parse(&info.to_element()).unwrap();
        assert_eq!(read, info);
        assert!(read.has_feature("muc_nonanonymous"));
        let form = read.forms.first().unwrap();
        assert_eq!(form.form_type(), Some(ns::MUC_ROOM_INFO));
        assert_eq!(form.value("muc#roominfo_meetingId"), Some("a-b-c"));
        assert_eq!(form.value("muc#roominfo_lobbyroom"), None);
    }

    #[test]
    fn something_else_is_not_read() {
        assert_eq!(
            DiscoInfo::parse(&Element::bare("query", ns::DISCO_ITEMS)),
            None
        );
        assert_eq!(DataForm::parse(&Element::bare("x", ns::MUC)), None);
        assert_eq!(DataForm::parse(&Element::bare("x", ns::DATA_FORMS)), None);
    }
}
