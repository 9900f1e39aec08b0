//! Where frames come from and go to between queues and tables: TIS, TIR, and tables of receive
//! queues.

use super::Kind;
use crate::connectx::command::{Call, Outcome, kept};
use crate::connectx::core::Core;
use crate::connectx::datapath::hash::{Function, Selection};
use crate::connectx::syndrome::Syndrome;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::GeneralCapability;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{RqNumber, RqtContext, TirContext, TisContext};

/// Where received frames go in.
#[derive(Debug)]
pub(in crate::connectx) struct Tir {
    context: Vec<u8>,
    pub goal: TirGoal,
    pub function: Function,
    pub outer: Selection,
    pub inner: Selection,
    /// Whether unicast comes in that the function itself has sent.
    pub takes_own: bool,
}

/// The bit of [`TirContext::SELF_LB_BLOCK`] that is about unicast.
const OWN_UNICAST: u8 = 1;

fn takes_own(context: &View<TirContext, &[u8]>) -> bool {
    context.get(TirContext::SELF_LB_BLOCK) & OWN_UNICAST != 0
}

/// Which queue a TIR leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectx) enum TirGoal {
    Rq(u32),
    Rqt(u32),
}

/// A table of receive queues.
#[derive(Debug)]
pub(in crate::connectx) struct Rqt {
    context: Vec<u8>,
    most: usize,
    pub queues: Vec<u32>,
}

fn function(context: &View<TirContext, &[u8]>) -> Result<Function, Syndrome> {
    match context.get(TirContext::RX_HASH_FUNCTION) {
        0 => Ok(Function::None),
        1 => Ok(Function::Xor),
        2 => {
            let key = context.octets(TirContext::RX_HASH_TOEPLITZ_KEY);
            Ok(Function::Toeplitz {
                key: *key.first_chunk().ok_or(Syndrome::InputLength)?,
                symmetric: context.get(TirContext::RX_HASH_SYMMETRIC),
            })
        }
        _ => Err(Syndrome::HashFunction),
    }
}

impl Core {
    /// CREATE_TIS.
    pub fn create_tis(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateTisIn::CONTEXT);
        if context.get(TisContext::TLS_EN) {
            return Err(Syndrome::NoTls);
        }
        let mut refers = vec![(Kind::Td, context.get(TisContext::TRANSPORT_DOMAIN))];
        let pd = context.get(TisContext::PD);
        if pd != 0 {
            refers.push((Kind::Pd, pd));
        }
        let context = context.bytes()[..TisContext::SIZE].to_vec();
        let number = self.objects.create(Kind::Tis, refers)?;
        self.tiss.insert(number, context);
        call.output()?.set(CreateTisOut::TISN, number);
        Ok(())
    }

    /// MODIFY_TIS: priority, and which port of a bond, neither of which matters here.
    pub fn modify_tis(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(ModifyTisIn::TISN);
        let kept = self.tiss.get_mut(&number).ok_or(Syndrome::NoSuchTis)?;
        let context = input.at(ModifyTisIn::CONTEXT);
        if let Some(mut kept) = View::<TisContext, _>::new(&mut kept[..]) {
            if input.get(ModifyTisIn::PRIORITY) {
                kept.set(TisContext::PRIORITY, context.get(TisContext::PRIORITY));
            }
            if input.get(ModifyTisIn::LAG_TX_PORT_AFFINITY) {
                kept.set(
                    TisContext::LAG_TX_PORT_AFFINITY,
                    context.get(TisContext::LAG_TX_PORT_AFFINITY),
                );
            }
        }
        Ok(())
    }

    /// DESTROY_TIS.
    pub fn destroy_tis(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DestroyTisIn::TISN);
        self.objects.destroy((Kind::Tis, number))?;
        self.tiss.remove(&number);
        Ok(())
    }

    /// QUERY_TIS.
    pub fn query_tis(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(QueryTisIn::TISN);
        let context = self.tiss.get(&number).ok_or(Syndrome::NoSuchTis)?;
        kept(call.output()?.at_mut(QueryTisOut::CONTEXT), context)?;
        Ok(())
    }

    /// CREATE_TIR: straight to a queue, or by a hash to one of a table.
    pub fn create_tir(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateTirIn::CONTEXT);
        if context.get(TirContext::TLS_EN) {
            return Err(Syndrome::NoTls);
        }
        let (goal, id) = match context.get(TirContext::DISPATCH_TYPE) {
            0 => {
                let rq = context.get(TirContext::INLINE_RQN);
                (TirGoal::Rq(rq), (Kind::Rq, rq))
            }
            1 => {
                let rqt = context.get(TirContext::INDIRECT_TABLE);
                (TirGoal::Rqt(rqt), (Kind::Rqt, rqt))
            }
            _ => return Err(Syndrome::Dispatch),
        };
        let tir = Tir {
            context: context.bytes()[..TirContext::SIZE].to_vec(),
            goal,
            function: function(&context)?,
            outer: Selection::new(&context.at(TirContext::RX_HASH_OUTER)),
            inner: Selection::new(&context.at(TirContext::RX_HASH_INNER)),
            takes_own: takes_own(&context),
        };
        let td = (Kind::Td, context.get(TirContext::TRANSPORT_DOMAIN));
        let number = self.objects.create(Kind::Tir, vec![id, td])?;
        self.tirs.insert(number, tir);
        call.output()?.set(CreateTirOut::TIRN, number);
        Ok(())
    }

    /// MODIFY_TIR: the hash, whether own packets come in, and what does not matter here.
    pub fn modify_tir(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(ModifyTirIn::TIRN);
        let tir = self.tirs.get_mut(&number).ok_or(Syndrome::NoSuchTir)?;
        let context = input.at(ModifyTirIn::CONTEXT);
        if input.get(ModifyTirIn::HASH) {
            tir.function = function(&context)?;
            tir.outer = Selection::new(&context.at(TirContext::RX_HASH_OUTER));
            tir.inner = Selection::new(&context.at(TirContext::RX_HASH_INNER));
        }
        if input.get(ModifyTirIn::SELF_LB) {
            tir.takes_own = takes_own(&context);
        }
        Ok(())
    }

    /// DESTROY_TIR.
    pub fn destroy_tir(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DestroyTirIn::TIRN);
        self.objects.destroy((Kind::Tir, number))?;
        self.tirs.remove(&number);
        Ok(())
    }

    /// QUERY_TIR.
    pub fn query_tir(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(QueryTirIn::TIRN);
        let tir = self.tirs.get(&number).ok_or(Syndrome::NoSuchTir)?;
        kept(call.output()?.at_mut(QueryTirOut::CONTEXT), &tir.context)?;
        Ok(())
    }

    /// The queues of a list, as many as it says.
    fn queues(
        items: impl Iterator<Item = View<RqNumber, impl AsRef<[u8]>>>,
        actual: usize,
        most: usize,
    ) -> Result<Vec<u32>, Syndrome> {
        let queues: Vec<u32> = items.map(|q| q.get(RqNumber::NUMBER)).collect();
        match queues.get(..actual) {
            Some(queues) if actual > 0 && actual <= most => Ok(queues.to_vec()),
            _ => Err(Syndrome::RqtSize),
        }
    }

    /// CREATE_RQT.
    pub fn create_rqt(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let context = input.at(CreateRqtIn::CONTEXT);
        let most = usize::from(context.get(RqtContext::RQT_MAX_SIZE));
        let log_most = self.capabilities.get(GeneralCapability::LOG_MAX_RQT_SIZE);
        if most > 1 << log_most.min(15) {
            return Err(Syndrome::RqtSize);
        }
        if context.get(RqtContext::LIST_Q_TYPE) != 0 || context.get(RqtContext::RQ_VHCA_ID_FORMAT) {
            return Err(Syndrome::RqtKind);
        }
        let actual = context.get(RqtContext::RQT_ACTUAL_SIZE).into();
        let queues = Self::queues(input.items(CreateRqtIn::QUEUES), actual, most)?;
        let refers = queues.iter().map(|rq| (Kind::Rq, *rq)).collect();
        let context = context.bytes()[..RqtContext::SIZE].to_vec();
        let number = self.objects.create(Kind::Rqt, refers)?;
        let rqt = Rqt {
            context,
            most,
            queues,
        };
        self.rqts.insert(number, rqt);
        call.output()?.set(CreateRqtOut::RQTN, number);
        Ok(())
    }

    /// MODIFY_RQT: other queues.
    pub fn modify_rqt(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(ModifyRqtIn::RQTN);
        let rqt = self.rqts.get_mut(&number).ok_or(Syndrome::NoSuchRqt)?;
        if !input.get(ModifyRqtIn::RQN_LIST) {
            return Ok(());
        }
        let context = input.at(ModifyRqtIn::CONTEXT);
        let actual = context.get(RqtContext::RQT_ACTUAL_SIZE).into();
        let queues = Self::queues(input.items(ModifyRqtIn::QUEUES), actual, rqt.most)?;
        let refers = queues.iter().map(|rq| (Kind::Rq, *rq)).collect();
        self.objects.refer_anew((Kind::Rqt, number), refers)?;
        rqt.queues = queues;
        Ok(())
    }

    /// DESTROY_RQT.
    pub fn destroy_rqt(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(DestroyRqtIn::RQTN);
        self.objects.destroy((Kind::Rqt, number))?;
        self.rqts.remove(&number);
        Ok(())
    }

    /// QUERY_RQT.
    pub fn query_rqt(&mut self, call: &mut Call<'_>) -> Outcome {
        let number = call.input()?.get(QueryRqtIn::RQTN);
        let rqt = self.rqts.get(&number).ok_or(Syndrome::NoSuchRqt)?;
        kept(call.output()?.at_mut(QueryRqtOut::CONTEXT), &rqt.context)?;
        Ok(())
    }
}
